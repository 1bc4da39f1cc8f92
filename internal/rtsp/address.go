package rtsp

import (
	"net/url"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"understudy"
)

// span is the stretch of recordings that is asked for; the zero span means live.
type span struct {
	from time.Time
	to   time.Time // zero: as far as there is something
}

func (s span) live() bool { return s.from.IsZero() }

// parseSpan reads from= and to= of a URL.
func parseSpan(query url.Values) (s span, err error) {
	if !query.Has("from") {
		return span{}, nil
	}
	if s.from, err = time.Parse(time.RFC3339, query.Get("from")); err != nil {
		return span{}, understudy.Errorf(understudy.CodeInvalid, "from= is a time such as 2026-01-02T15:04:05.25Z, and is %.60q", query.Get("from"))
	}
	if query.Has("to") {
		if s.to, err = time.Parse(time.RFC3339, query.Get("to")); err != nil {
			return span{}, understudy.Errorf(understudy.CodeInvalid, "to= is a time such as 2026-01-02T15:04:05.25Z, and is %.60q", query.Get("to"))
		}
	}
	return s, s.validate()
}

// clockLayout is utc-time of RFC 2326 §3.7; a fraction of the second may follow.
const clockLayout = "20060102T150405Z"

// parseRange reads a Range header: "clock=A-[B]", with fractions of seconds.
// ok is false for a range in another unit, such as the npt=0- that clients send
// which ask for nothing in particular. A range that is played backwards begins
// with its later time.
func parseRange(header base.HeaderValue, backwards bool) (s span, ok bool, err error) {
	if len(header) != 1 {
		return span{}, false, nil
	}
	text, _, _ := strings.Cut(header[0], ";")
	text, ok = strings.CutPrefix(strings.TrimSpace(text), "clock=")
	if !ok {
		return span{}, false, nil
	}
	from, to, _ := strings.Cut(text, "-")
	if s.from, err = time.Parse(clockLayout, from); err == nil && to != "" {
		s.to, err = time.Parse(clockLayout, to)
	}
	if err != nil {
		return span{}, false, understudy.Errorf(understudy.CodeInvalid, "a range is clock=20260102T150405.25Z-20260102T151000Z, and is %.100q", header[0])
	}
	if backwards && !s.from.IsZero() && (s.to.IsZero() || s.to.Before(s.from)) {
		return s, true, nil
	}
	if backwards {
		return span{}, false, understudy.Errorf(understudy.CodeInvalid, "a range that is played backwards begins with its later time, clock=LATER-EARLIER, and is %.100q", header[0])
	}
	return s, true, s.validate()
}

func (s span) validate() error {
	if s.from.IsZero() || !s.to.IsZero() && !s.to.After(s.from) {
		return understudy.Errorf(understudy.CodeInvalid, "a range ends after it begins, and goes from %s to %s", s.from.Format(time.RFC3339Nano), s.to.Format(time.RFC3339Nano))
	}
	return nil
}

// header returns s as a Range header.
func (s span) header() base.HeaderValue {
	const layout = "20060102T150405.000Z"
	text := "clock=" + s.from.UTC().Format(layout) + "-"
	if !s.to.IsZero() {
		text += s.to.UTC().Format(layout)
	}
	return base.HeaderValue{text}
}

// tokenOf finds the media token of a request: in its URL, or as the password
// of Basic authentication where that cannot be overheard.
func tokenOf(request *base.Request, query url.Values, secure bool) string {
	if token := query.Get("token"); token != "" || !secure {
		return token
	}
	var authorization headers.Authorization
	if authorization.Unmarshal(request.Header["Authorization"]) != nil || authorization.Method != headers.AuthMethodBasic {
		return ""
	}
	return authorization.BasicPass
}

// withoutToken returns a URL as it may be logged.
func withoutToken(u *base.URL) string {
	if u == nil {
		return ""
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return u.Scheme + "://" + u.Host + u.Path
	}
	query.Del("token")
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: query.Encode()}
	return shown.String()
}
