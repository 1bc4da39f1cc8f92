package identity

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"understudy"
)

// sealed is a bundle of rec1 for a node.
func sealed(t testing.TB, a *Authority, n *Node, plain string) understudy.Bundle {
	t.Helper()
	b, err := a.SealBundle(understudy.Bundle{Server: n.ID(), Home: "rec1", Seq: 7, Made: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, n.BundleKey(), []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is sealed for one failover server opens there, after a restart and a way
// over JSON too, and on no other, whatever is changed of it.
func TestBundleOpensAtItsServerOnly(t *testing.T) {
	a := newAuthority(t)
	one, other := join(t, a, "fo1", understudy.RoleFailover, "10.0.0.1"), join(t, a, "fo2", understudy.RoleFailover, "10.0.0.2")
	b := sealed(t, a, one, "the password of the lobby")
	if bytes.Contains(b.Sealed, []byte("lobby")) {
		t.Error("the content can be read without a key")
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var told understudy.Bundle
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	again, err := LoadNode(one.folder)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.OpenBundle(told); err != nil || string(plain) != "the password of the lobby" {
		t.Errorf("opened %q: %v", plain, err)
	}
	if _, err := other.OpenBundle(b); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), "made for \"fo1\"") {
		t.Errorf("another server's bundle: %v", err)
	}
	// The authority's word that it is fo2's does not make fo2 able to read it.
	forged, err := a.SealBundle(understudy.Bundle{Server: "fo2", Home: "rec1"}, one.BundleKey(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.OpenBundle(forged); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("sealed to another key: %v", err)
	}
}

// A bundle that somebody has changed, or another installation has made, is refused.
func TestBundleIsRefused(t *testing.T) {
	a := newAuthority(t)
	n := join(t, a, "fo1", understudy.RoleFailover, "10.0.0.1")
	flipped := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	for name, change := range map[string]func(b *understudy.Bundle){
		"another home":         func(b *understudy.Bundle) { b.Home = "rec2" },
		"a higher number":      func(b *understudy.Bundle) { b.Seq++ },
		"a later date":         func(b *understudy.Bundle) { b.Made = b.Made.Add(time.Hour) },
		"a flipped bit":        func(b *understudy.Bundle) { b.Sealed = flipped(b.Sealed, len(b.Sealed)-1) },
		"another version":      func(b *understudy.Bundle) { b.Sealed = flipped(b.Sealed, 0) },
		"a flipped signature":  func(b *understudy.Bundle) { b.Signature = flipped(b.Signature, 5) },
		"no signature":         func(b *understudy.Bundle) { b.Signature = nil },
		"nothing":              func(b *understudy.Bundle) { b.Sealed = nil },
		"another signer":       func(b *understudy.Bundle) { b.Signer = "0011223344556677" },
		"another installation": func(b *understudy.Bundle) { *b = sealed(t, newAuthority(t), n, "x") },
	} {
		b := sealed(t, a, n, "x")
		change(&b)
		if err := n.VerifyBundle(b); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%s: verified: %v", name, err)
		}
		if plain, err := n.OpenBundle(b); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%s: opened %q: %v", name, plain, err)
		}
	}
	if _, err := a.SealBundle(understudy.Bundle{Server: "fo1"}, []byte("short"), nil); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("a key that is none: %v", err)
	}
}

func FuzzOpenBundle(f *testing.F) {
	a := newAuthority(f)
	n := join(f, a, "fo1", understudy.RoleFailover, "10.0.0.1")
	good := sealed(f, a, n, "content")
	text, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"server":"fo1","sealed":"AQ=="}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b understudy.Bundle
		if json.Unmarshal(text, &b) != nil {
			return
		}
		if plain, err := n.OpenBundle(b); err == nil && (string(plain) != "content" || b.Home != good.Home || b.Seq != good.Seq || !b.Made.Equal(good.Made)) {
			t.Fatalf("%q opened as %q", text, plain)
		}
	})
}
