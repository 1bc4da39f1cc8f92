package identity

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"understudy"
)

func TestAJoinTokenIsOneLineThatSaysAll(t *testing.T) {
	a := newAuthority(t)
	token, err := a.JoinToken([]string{"https://10.0.0.1", "https://vms.example:8443"}, "one-time-secret")
	if err != nil {
		t.Fatal(err)
	}
	line := string(token.Encode())
	if !strings.HasPrefix(line, "us1.") || strings.ContainsAny(line, " \n\"'&$") {
		t.Errorf("%q is not a line to be copied into a shell", line)
	}
	read, err := ParseJoinToken(" " + line + "\n")
	if err != nil || !reflect.DeepEqual(read, token) {
		t.Errorf("read %+v, %v", read, err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("joining", "token", token)
	printed := log.String() + fmt.Sprintf("%v %+v %#v %s", token, token, token, token.Encode())
	if strings.Contains(printed, "one-time-secret") || strings.Contains(printed, line) {
		t.Errorf("the secret was printed: %s", printed)
	}
}

func TestWhatIsNoJoinTokenGetsASentence(t *testing.T) {
	encode := func(body string) string { return "us1." + base64.RawURLEncoding.EncodeToString([]byte(body)) }
	digest := strings.Repeat("ab", 32)
	good := encode(`{"u":["https://a"],"c":"` + digest + `","s":"hidden"}`)
	if _, err := ParseJoinToken(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, sentence string }{
		"nothing":             {"", "us1."},
		"another version":     {"us2." + good[4:], "us1."},
		"cut":                 {good[:len(good)-5], "copy it again"},
		"not base64":          {"us1.!!!", "copy it again"},
		"not JSON":            {encode("hello"), "copy it again"},
		"half a digest":       {encode(`{"u":["https://a"],"c":"abab","s":"hidden"}`), "copy it again"},
		"no address":          {encode(`{"u":[],"c":"` + digest + `","s":"hidden"}`), "addresses"},
		"no secret":           {encode(`{"u":["https://a"],"c":"` + digest + `"}`), "secret"},
		"a long secret":       {encode(`{"u":["https://a"],"c":"` + digest + `","s":"` + strings.Repeat("s", 129) + `"}`), "secret"},
		"an address in plain": {encode(`{"u":["http://a"],"c":"` + digest + `","s":"hidden"}`), "https://host"},
		"a user in it":        {encode(`{"u":["https://u:p@a"],"c":"` + digest + `","s":"hidden"}`), "https://host"},
		"too long":            {good + strings.Repeat("A", maxJoinToken), "up to 4096 bytes"},
	} {
		_, err := ParseJoinToken(c.text)
		if understudy.CodeOf(err) != understudy.CodeInvalid || err == nil || !strings.Contains(err.Error(), c.sentence) {
			t.Errorf("%s: %v, want %q", name, err, c.sentence)
		}
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the secret stands in the error: %v", name, err)
		}
	}
}

func FuzzParseJoinToken(f *testing.F) {
	f.Add("us1.e30")
	f.Add(string(JoinToken{URLs: []string{"https://a"}, Secret: "s"}.Encode()))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseJoinToken(text)
		if err != nil {
			return
		}
		if again, err := ParseJoinToken(string(token.Encode())); err != nil || !reflect.DeepEqual(again, token) {
			t.Errorf("%+v, then %+v, %v", token, again, err)
		}
	})
}

func FuzzSubject(f *testing.F) {
	f.Add("understudy://0123456789abcdef/recording/rec-1")
	f.Add("understudy://x/management/management")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		s, err := subjectOf(&x509.Certificate{URIs: []*url.URL{u}})
		if err == nil && (s.validate() != nil || s.uri().String() != u.String()) {
			t.Errorf("%q is %+v", text, s)
		}
	})
}
