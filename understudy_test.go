package understudy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	us "understudy"
)

func TestCodesSurviveHTTP(t *testing.T) {
	for _, code := range []us.Code{us.CodeInvalid, us.CodeUnauthenticated, us.CodeForbidden,
		us.CodeNotFound, us.CodeConflict, us.CodeUnavailable, us.CodeInternal} {
		if got := us.CodeFromHTTPStatus(code.HTTPStatus()); got != code {
			t.Errorf("%s comes back as %s", code, got)
		}
	}
	for status, want := range map[int]us.Code{400: us.CodeInvalid, 429: us.CodeUnavailable, 502: us.CodeUnavailable, 599: us.CodeInternal} {
		if got := us.CodeFromHTTPStatus(status); got != want {
			t.Errorf("status %d is %s, want %s", status, got, want)
		}
	}
}

func TestErrorfKeepsItsCause(t *testing.T) {
	err := fmt.Errorf("outer: %w", us.Errorf(us.CodeConflict, "moved on: %w", io.EOF))
	if us.CodeOf(err) != us.CodeConflict || !errors.Is(err, io.EOF) {
		t.Errorf("code %s, cause kept %v", us.CodeOf(err), errors.Is(err, io.EOF))
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	credentials := us.Credentials{Username: "ada", Password: "hunter2hunter2"}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "credentials", credentials, "password", credentials.Password)
	for _, text := range []string{fmt.Sprint(credentials), fmt.Sprintf("%+v %#v %s %q", credentials, credentials, credentials.Password, credentials.Password), logged.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("the password stands in %q", text)
		}
	}
	wire, err := json.Marshal(credentials)
	if err != nil || !strings.Contains(string(wire), "hunter2") {
		t.Errorf("servers need the password on the wire, got %s, %v", wire, err)
	}
}

func TestCameraValidate(t *testing.T) {
	good := us.Camera{ID: "lobby", Home: "rec1", URL: "rtsp://10.0.0.8/stream"}.WithDefaults()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*us.Camera){
		"id":          func(c *us.Camera) { c.ID = "../etc" },
		"upper case":  func(c *us.Camera) { c.ID = "Lobby" },
		"scheme":      func(c *us.Camera) { c.URL = "exec:rm" },
		"no host":     func(c *us.Camera) { c.URL = "rtsp:///x" },
		"credentials": func(c *us.Camera) { c.URL = "rtsp://ada:pw@10.0.0.8/" },
		"transport":   func(c *us.Camera) { c.Transport = "carrier-pigeon" },
		"failover":    func(c *us.Camera) { c.Failover = "perhaps" },
		"keep":        func(c *us.Camera) { c.KeepFor = -1 },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); us.CodeOf(err) != us.CodeInvalid || err == nil {
			t.Errorf("%s: %v, want CodeInvalid", name, err)
		}
	}
}

func FuzzParseSegmentID(f *testing.F) {
	f.Add("lobby/0000000007-fo-1-000000000012")
	f.Add("../x/0000000001-a-000000000001")
	f.Add("a/1-b-2")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := us.ParseSegmentID(s)
		if err != nil {
			return
		}
		if id.String() != s {
			t.Errorf("%q parses to %+v, which is written %q", s, id, id.String())
		}
		if strings.Contains(s, "..") || strings.Count(s, "/") != 1 {
			t.Errorf("%q could leave its directory", s)
		}
	})
}

func TestSegmentIDsSortAsTheyWereMade(t *testing.T) {
	early := us.SegmentID{Camera: "a", Epoch: 9, Holder: "rec1", Sequence: 99}
	late := us.SegmentID{Camera: "a", Epoch: 10, Holder: "rec1", Sequence: 100}
	if early.String() >= late.String() {
		t.Errorf("%q sorts behind %q", early, late)
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("log-1:42")
	f.Add(":1")
	f.Add("x:-1")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := us.ParseCursor(s)
		if err != nil {
			return
		}
		again, err := us.ParseCursor(c.String())
		if err != nil || again != c {
			t.Errorf("%q is %+v, and again %+v, %v", s, c, again, err)
		}
	})
}
