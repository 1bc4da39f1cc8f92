package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"understudy"
)

const (
	basePath = "/api/v1"
	// maxAnswer bounds what is read of an answer: a site of 20,000 cameras has about 20 MB.
	maxAnswer = 64 << 20
	// maxErrorAnswer bounds what is read of a refusal.
	maxErrorAnswer = 64 << 10
	// requestTimeout bounds one request; the largest answer fits into it on a slow line.
	requestTimeout = 20 * time.Second
)

// call is one request to the management servers. in and out may be nil.
type call struct {
	method, path string
	in, out      any                // out may be a *[]byte: a document that is no JSON
	token        *understudy.Secret // instead of the client's own
	ticket       []byte             // shown by Negotiate, instead of a token
	again        bool               // a POST that does twice what it does once
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	return c.send(ctx, call{method: method, path: path, in: in, out: out})
}

// send asks the management servers, beginning with the one that answered last.
// It goes on to the next one only where that cannot do a thing twice.
func (c *Client) send(ctx context.Context, q call) error {
	var body []byte
	if q.in != nil {
		var err error
		if body, err = json.Marshal(q.in); err != nil {
			return understudy.Errorf(understudy.CodeInternal, "a request could not be written as JSON: %w", err)
		}
	}
	c.mu.Lock()
	first, management := c.preferred, c.management
	c.mu.Unlock()
	var last error
	for n := range management {
		index := (first + n) % len(management)
		repeatable, err := c.once(ctx, management[index], q, body)
		if err == nil {
			c.prefer(management, index)
			return nil
		}
		last = err
		if !repeatable || ctx.Err() != nil {
			break
		}
	}
	return last
}

// prefer begins with that one the next time, unless others are asked by now.
func (c *Client) prefer(management []*url.URL, index int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.management) == len(management) && c.management[index] == management[index] {
		c.preferred = index
	}
}

// once asks one management server. repeatable: another one may be asked the same.
func (c *Client) once(ctx context.Context, base *url.URL, q call, body []byte) (repeatable bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, q.method, base.String()+basePath+q.path, bytes.NewReader(body))
	if err != nil {
		return false, understudy.Errorf(understudy.CodeInternal, "a request could not be made: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	token := c.Token()
	if q.token != nil {
		token = *q.token
	}
	c.authorize(request, token)
	if q.ticket != nil {
		request.Header.Set("Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(q.ticket))
	}
	harmless := q.method != http.MethodPost || q.again
	response, err := c.HTTP("").Do(request)
	if err != nil {
		return harmless || notSent(err), unreached("the management server", base.Host, err)
	}
	defer response.Body.Close()
	if response.StatusCode < http.StatusInternalServerError { // what a proxy says of a dead one is not its word
		c.hear()
	}
	if response.StatusCode >= 300 {
		err := refusal(response)
		return harmless && understudy.CodeOf(err) == understudy.CodeUnavailable, err
	}
	if q.out == nil {
		return false, nil
	}
	if err := read(response.Body, q.out); err != nil {
		return harmless, understudy.Errorf(understudy.CodeUnavailable, "the answer of the management server %s could not be read: %w", base.Host, err)
	}
	return false, nil
}

// read takes an answer in: JSON, or a document as it is.
func read(body io.Reader, out any) (err error) {
	limited := io.LimitReader(body, maxAnswer)
	if document, ok := out.(*[]byte); ok {
		*document, err = io.ReadAll(limited)
		return err
	}
	return json.NewDecoder(limited).Decode(out)
}

// notSent reports that the request cannot have reached anyone.
func notSent(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "dial"
}

func (c *Client) authorize(request *http.Request, token understudy.Secret) {
	if c.config.Boot != "" {
		request.Header.Set(understudy.BootHeader, c.config.Boot)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+string(token))
	}
}

// refusal reads {"code","message"}; anything else, such as a proxy's page, is told by its status.
func refusal(response *http.Response) error {
	var answer struct {
		Code    understudy.Code `json:"code"`
		Message string          `json:"message"`
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxErrorAnswer))
	if err == nil && json.Unmarshal(text, &answer) == nil && answer.Code != "" && answer.Message != "" {
		return &understudy.Error{Code: answer.Code, Message: answer.Message}
	}
	return understudy.Errorf(understudy.CodeFromHTTPStatus(response.StatusCode), "%s answered %s to %s %s",
		response.Request.URL.Host, response.Status, response.Request.Method, response.Request.URL.Path)
}
