package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"understudy"
)

var failureType = reflect.TypeFor[failure]()

// failure is an error as it is sent. It implements huma.StatusError.
type failure struct {
	Code    understudy.Code `json:"code" enum:"invalid,unauthenticated,forbidden,not_found,conflict,unavailable,internal" doc:"What kind of failure it is"`
	Message string          `json:"message" doc:"What was expected, what was found, what to do"`
	status  int
}

// Error returns the sentence.
func (f *failure) Error() string { return f.Message }

// GetStatus implements huma.StatusError.
func (f *failure) GetStatus() int { return f.status }

// failureOf makes of an error what is sent of it: never its cause.
func failureOf(err error) *failure {
	e, ok := errors.AsType[*understudy.Error](err)
	if !ok {
		e = &understudy.Error{Code: understudy.CodeInternal, Message: "the management server failed at this; its log says why"}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			e = &understudy.Error{Code: understudy.CodeUnavailable, Message: "the request took too long and was given up; try again"}
		}
	}
	return &failure{Code: e.Code, Message: e.Message, status: e.Code.HTTPStatus()}
}

// logFailure logs what the client is not to blame for; this is where such an error ends.
func logFailure(ctx context.Context, log *slog.Logger, what string, err error) {
	if f := failureOf(err); f.status >= http.StatusInternalServerError {
		log.LogAttrs(ctx, slog.LevelError, "a request failed", slog.String("request", what), slog.Any("error", err), slog.Any("cause", errors.Unwrap(err)))
	}
}

func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	logFailure(r.Context(), log, r.Method+" "+r.URL.Path, err)
	f := failureOf(err)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if f.Code == understudy.CodeUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(f) // the client may be gone
}

// plainError is a huma.Transformer: what huma finds wrong with a request is
// told like every other error. The offending value is left out: it may be a password.
func plainError(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	var found []string
	for _, detail := range e.Errors {
		if strings.HasPrefix(detail.Message, huma.ErrUnknownContentType.Error()) {
			detail.Message = "the body must be JSON, with Content-Type: application/json"
		}
		if detail.Location != "" && detail.Location != "body" {
			detail.Message += " (" + detail.Location + ")"
		}
		found = append(found, detail.Message)
	}
	if len(found) == 0 {
		found = []string{e.Detail}
	}
	ctx.SetHeader("Content-Type", "application/json")
	return &failure{Code: understudy.CodeFromHTTPStatus(e.Status), Message: strings.Join(found, "; "), status: e.Status}, nil
}

// unmarshal reads JSON; what is wrong with it is told in the words of the API,
// not of this program.
func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := kind.Field[strings.LastIndexByte(kind.Field, '.')+1:]
		if field == "" {
			return fmt.Errorf("the body must be another kind of JSON than %s", kind.Value)
		}
		return fmt.Errorf("%q must be another kind of JSON than %s", field, kind.Value)
	}
	if err != nil {
		return fmt.Errorf("the body is not well-formed JSON: %w", err)
	}
	return nil
}

// answer is a response with a body.
type answer[T any] struct {
	Body T
}

// nothing is an empty response (204).
type nothing struct{}

// route is one REST operation.
type route struct {
	method, path string // path below /api/v1
	access       access
	tag          string
	summary      string
	maxBody      int64 // 0 is 64 KiB
}

const (
	smallBody = 64 << 10
	claimBody = 4 << 20 // 20,000 cameras at about 100 bytes
	// camerasBody is 500 cameras with all that their settings may hold.
	camerasBody = 4 << 20
)

// operation registers a REST operation, with its access and its description.
func operation[I, O any](s *server, o route, handler func(context.Context, *I) (*O, error)) {
	pattern := o.method + " " + base + o.path
	s.gate.declared[pattern] = o.access
	if o.maxBody == 0 {
		o.maxBody = smallBody
	}
	op := huma.Operation{
		OperationID: huma.GenerateOperationID(o.method, o.path, new(O)), Method: o.method, Path: base + o.path,
		Summary: o.summary, Description: o.access.text, Tags: []string{o.tag}, MaxBodyBytes: o.maxBody,
		// The services look at what they are given, and say what is wrong in sentences.
		SkipValidateBody: true, SkipValidateParams: true,
		Responses: map[string]*huma.Response{"default": {
			Description: "What went wrong",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: s.huma.OpenAPI().Components.Schemas.Schema(failureType, true, "Error")}},
		}},
	}
	if o.access.allow != nil {
		op.Security = []map[string][]string{{"session": {}}, {"server": {}}}
	}
	huma.Register(s.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			logFailure(ctx, s.Log, pattern, err)
			// Of a server's claims the authority tells the log itself.
			if who := understudy.Asker(ctx); understudy.CodeOf(err) == understudy.CodeForbidden && who.User != "" && s.Refused != nil {
				s.Refused(who, pattern)
			}
			return nil, failureOf(err)
		}
		return out, nil
	})
}

// list answers a list, which is never null.
func list[T any](items []T, err error) (*answer[[]T], error) {
	if err != nil {
		return nil, err
	}
	if items == nil {
		items = []T{}
	}
	return &answer[[]T]{items}, nil
}

// one answers one thing.
func one[T any](thing T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{thing}, nil
}

// done answers that it is done.
func done(err error) (*nothing, error) {
	if err != nil {
		return nil, err
	}
	return &nothing{}, nil
}
