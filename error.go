package understudy

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an Error is; it decides the HTTP status.
type Code string

// The codes. A caller may branch on a code, never on a message.
const (
	CodeInvalid         Code = "invalid"         // the request can never succeed as it is
	CodeUnauthenticated Code = "unauthenticated" // nobody proved who is asking
	CodeForbidden       Code = "forbidden"       // known, and not entitled
	CodeNotFound        Code = "not_found"       // no such thing
	CodeConflict        Code = "conflict"        // the state has moved on: read again
	CodeUnavailable     Code = "unavailable"     // may succeed later, unchanged
	CodeInternal        Code = "internal"        // our fault
)

// statusOf is the one table between codes and HTTP; server and client share it.
var statusOf = map[Code]int{
	CodeInvalid:         422,
	CodeUnauthenticated: 401,
	CodeForbidden:       403,
	CodeNotFound:        404,
	CodeConflict:        409,
	CodeUnavailable:     503,
	CodeInternal:        500,
}

// HTTPStatus returns the status that carries c over HTTP, 500 for a code unknown to this version.
func (c Code) HTTPStatus() int {
	if status, ok := statusOf[c]; ok {
		return status
	}
	return statusOf[CodeInternal]
}

// CodeFromHTTPStatus is the inverse of HTTPStatus; statuses outside the table
// fall to the code of their class.
func CodeFromHTTPStatus(status int) Code {
	for code, s := range statusOf {
		if s == status {
			return code
		}
	}
	switch {
	case status == 429 || status == 502 || status == 504:
		return CodeUnavailable
	case status >= 400 && status < 500:
		return CodeInvalid
	default:
		return CodeInternal
	}
}

// Error is the only error type that crosses a package's or a machine's border.
// Message is one sentence for a person: what was expected, what was found, what to do.
type Error struct {
	Code    Code
	Message string
	Err     error // the cause, for the log; never sent to a client
}

// Errorf makes an Error of a code; a %w verb sets its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain, CodeInternal if there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
