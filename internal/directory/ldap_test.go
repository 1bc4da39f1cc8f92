package directory

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// TestSID: the well-known administrators, and a group of a domain.
func TestSID(t *testing.T) {
	for text, want := range map[string]string{
		"01020000000000052000000020020000":                         "S-1-5-32-544",
		"010500000000000515000000010000000200000003000000ffffffff": "S-1-5-21-1-2-3-4294967295",
		"01000000000000ff":                                         "S-1-255",
		"":                                                         "",
		"0102000000000005200000002002":                             "",
		"0202000000000005200000002002000000":                       "",
		"01020000000000052000000020020000aaaa":                     "",
	} {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseSID(raw); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %v, want %q", text, got, ok, want)
		}
	}
}

func FuzzSID(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, ok := parseSID(raw)
		if ok && (strings.Count(text, "-") != 2+int(raw[1]) || !bytes.Equal(raw[:1], []byte{1})) {
			t.Fatalf("%x is %q", raw, text)
		}
	})
}

func TestASettingThatCannotBeIsNamed(t *testing.T) {
	good := func() *LDAP {
		return &LDAP{URLs: []string{"ldaps://dc1.example.com"}, Base: "OU=Staff,DC=example,DC=com", BindDN: "svc@example.com", PasswordFile: "/none"}
	}
	l := good()
	if err := l.Open(); err != nil || l.Realm != "EXAMPLE.COM" || !l.of("ada@example.com") || l.of("ada@other.com") {
		t.Errorf("the realm is %q: %v", l.Realm, err)
	}
	for words, spoil := range map[string]func(*LDAP){
		"ldap.urls":       func(l *LDAP) { l.URLs = []string{"http://dc1"} },
		"found \"ldap:":   func(l *LDAP) { l.URLs = []string{"ldap://dc1/x"} },
		"ldap needs":      func(l *LDAP) { l.BindDN = "" },
		"ldap.base is":    func(l *LDAP) { l.Base = "example.com" },
		"ldap.realm says": func(l *LDAP) { l.Base = "O=example" },
		"ldap.ca_file":    func(l *LDAP) { l.CAFile = "/none" },
	} {
		l := good()
		spoil(l)
		if err := l.Open(); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), words) {
			t.Errorf("must be refused with %q, got %v", words, err)
		}
	}
}

// TestWhatWasSaidCounts: for a minute without asking, for half a day while
// nobody can be asked, and not after a no.
func TestWhatWasSaidCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answers{known: map[string]groupsAt{}}
		down := understudy.Errorf(understudy.CodeUnavailable, "nobody answers")
		gone := understudy.Errorf(understudy.CodeForbidden, "no such account")
		said, asked := error(nil), 0
		look := func(user string) error {
			groups, err := a.of(t.Context(), user, func(context.Context) ([]string, error) {
				asked++
				return []string{fmt.Sprint(asked)}, said
			})
			if err == nil && len(groups) != 1 {
				t.Errorf("said %v", groups)
			}
			return err
		}
		expect := func(what string, err, want error, times int) {
			t.Helper()
			if !errors.Is(err, want) || asked != times {
				t.Errorf("%s: %v and %d questions, want %v and %d", what, err, asked, want, times)
			}
		}
		expect("the first time", look("ada"), nil, 1)
		time.Sleep(59 * time.Second)
		expect("within a minute", look("ada"), nil, 1)
		time.Sleep(2 * time.Second)
		expect("after it", look("ada"), nil, 2)
		said = down
		time.Sleep(2 * time.Minute)
		expect("while nobody answers", look("ada"), nil, 3)
		expect("and at once again", look("ada"), nil, 3)
		expect("somebody new", look("bob"), down, 4)
		time.Sleep(11 * time.Hour)
		expect("hours later", look("ada"), nil, 5)
		time.Sleep(time.Hour)
		expect("half a day later", look("ada"), down, 6)
		said = nil
		expect("when it answers again", look("ada"), nil, 7)
		said = gone
		time.Sleep(2 * time.Minute)
		expect("after a no", look("ada"), gone, 8)
		said = down
		expect("nothing counts any more", look("ada"), down, 9)
	})
}

func TestAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answers{known: map[string]groupsAt{}}
		for i := range accounts + 10 {
			a.keep(fmt.Sprint(i), nil, nil, time.Now().Add(time.Duration(i)))
		}
		if _, there := a.known["0"]; len(a.known) != accounts || there {
			t.Errorf("%d are remembered, the oldest: %v", len(a.known), there)
		}
	})
}
