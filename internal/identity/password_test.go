package identity

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"understudy"
)

// cheap hashes with the least that argon2id allows, so that tests are fast.
func cheap() *Passwords {
	p := NewPasswords()
	p.cost = argon{memory: 8, passes: 1, threads: 1}
	return p
}

func TestAPasswordIsKnownByItsHash(t *testing.T) {
	p := cheap()
	hash, err := p.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Hash(t.Context(), "correct horse")
	if err != nil || hash == again || strings.Contains(hash, "correct") {
		t.Errorf("hashed to %s and %s, %v", hash, again, err)
	}
	for password, want := range map[understudy.Secret]bool{
		"correct horse": true, "correct hors": false, "correct horse ": false, "": false,
		understudy.Secret(strings.Repeat("x", 2000)): false,
	} {
		if ok, err := p.Verify(t.Context(), hash, password); ok != want || err != nil {
			t.Errorf("%q: %v, %v", string(password), ok, err)
		}
	}
	if _, err := p.Hash(t.Context(), understudy.Secret(strings.Repeat("x", 1025))); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("a long password: %v", err)
	}
}

func TestNewHashesCostWhatTheyShould(t *testing.T) {
	p := NewPasswords()
	hash, err := p.Hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") || !p.Current(hash) {
		t.Fatalf("%s, %v", hash, err)
	}
	if ok, err := p.Verify(t.Context(), hash, "correct horse"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// The hash is from the test vectors of the reference implementation
// (phc-winner-argon2, src/test.c): version 19, t=2, m=2^16, p=1.
func TestHashesOfOtherImplementationsAreRead(t *testing.T) {
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	p := NewPasswords()
	if ok, err := p.Verify(t.Context(), hash, "password"); !ok || err != nil || p.Current(hash) {
		t.Errorf("%v, %v; of today's cost: %v", ok, err, p.Current(hash))
	}
}

func TestADamagedHashVerifiesNothingAndCostsNoMore(t *testing.T) {
	p := cheap()
	const salt, sum = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, hash := range map[string]string{
		"empty":              "",
		"plain":              "password",
		"another algorithm":  "$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + sum,
		"another version":    "$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + sum,
		"all memory":         "$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + sum,
		"all time":           "$argon2id$v=19$m=8,t=4294967295,p=1$" + salt + "$" + sum,
		"no passes":          "$argon2id$v=19$m=8,t=0,p=1$" + salt + "$" + sum,
		"no threads":         "$argon2id$v=19$m=8,t=1,p=0$" + salt + "$" + sum,
		"an empty sum":       "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$",
		"a short sum":        "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$AAAA",
		"something behind":   "$argon2id$v=19$m=8,t=1,p=1,x=1$" + salt + "$" + sum,
		"a sign":             "$argon2id$v=19$m=+8,t=1,p=1$" + salt + "$" + sum,
		"of great length":    "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat(sum, 100),
		"one field too many": "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + sum + "$",
	} {
		if _, known := parsePHC(hash); known {
			t.Errorf("%s: taken for a hash", name)
		}
		for _, password := range []understudy.Secret{"password", ""} {
			if ok, err := p.Verify(t.Context(), hash, password); ok || err != nil {
				t.Errorf("%s: %v, %v", name, ok, err)
			}
		}
	}
}

func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := cheap()
		for range hashesAtOnce {
			p.slots <- struct{}{} // busy
		}
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, hashesQueued)
		for range hashesQueued {
			go func() { _, err := p.Verify(ctx, "", "x"); results <- err }()
		}
		synctest.Wait()
		if _, err := p.Hash(ctx, "x"); understudy.CodeOf(err) != understudy.CodeUnavailable || !strings.Contains(err.Error(), "try again") {
			t.Errorf("with the queue full: %v", err)
		}
		cancel()
		for range hashesQueued {
			if err := <-results; understudy.CodeOf(err) != understudy.CodeUnavailable {
				t.Errorf("after its request ended: %v", err)
			}
		}
		<-p.slots
		if _, err := p.Hash(t.Context(), "x"); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	})
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=0,t=0,p=0$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, known := parsePHC(text)
		if !known {
			return
		}
		if h.cost.memory > 256<<10 || h.cost.passes > 16 || h.String() != text {
			t.Errorf("%q was read as %+v", text, h)
		}
	})
}
