package seal

import (
	"bytes"
	"encoding/base64"
	"testing"

	"understudy"
)

var place = []byte("a place")

func lockOf(t *testing.T, b byte) Key {
	t.Helper()
	k, err := NewKey(bytes.Repeat([]byte{b}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// again stores a ring and opens it as another management server does, whose file has these keys.
func again(t *testing.T, r *Ring, filed ...[]byte) *Ring {
	t.Helper()
	stored, err := r.Stored()
	if err == nil {
		r, err = OpenRing(lockOf(t, 1), stored, filed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func opens(t *testing.T, r *Ring, what string, sealed []byte, newest bool) {
	t.Helper()
	if plain, is, err := r.Open(sealed, place); err != nil || string(plain) != what || is != newest {
		t.Errorf("%s opens as %q, of the newest key: %v, %v", what, plain, is, err)
	}
}

// A new key seals from Begin on, the one before opens until End, and those of files for good.
func TestARingChanges(t *testing.T) {
	file := randomSecret()
	r, err := OpenRing(lockOf(t, 1), nil, [][]byte{file})
	if err != nil || !r.Grew() {
		t.Fatalf("the first ring has nothing to store: %v", err)
	}
	zero := r.Seal([]byte("zero"), place)
	if r = again(t, r, file); r.Grew() {
		t.Error("a ring took in what it has")
	}
	begin := func(want int) {
		t.Helper()
		if n, err := r.Begin(); err != nil || n != want || !r.Changing(n) || r.Changing(n-1) {
			t.Fatalf("began change %d, want %d: %v", n, want, err)
		}
		r = again(t, r, file)
	}
	end := func() {
		t.Helper()
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
		r = again(t, r, file)
	}
	begin(1)
	one := r.Seal([]byte("one"), place)
	begin(1) // it was broken off: the same
	opens(t, r, "one", one, true)
	opens(t, r, "zero", zero, false)
	end()
	if r.Changing(1) {
		t.Error("it goes on after its end")
	}
	opens(t, r, "zero", zero, false)
	begin(2)
	two := r.Seal([]byte("two"), place)
	opens(t, r, "one", one, false)
	end()
	opens(t, r, "two", two, true)
	opens(t, r, "zero", zero, false)
	if _, _, err := r.Open(one, place); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("the key before is not forgotten: %v", err)
	}
	if _, _, err := r.Open(two, []byte("another place")); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("it opens elsewhere: %v", err)
	}
}

// What another file has is taken in, behind what there is, and stays.
func TestARingTakesInKeysOfFiles(t *testing.T) {
	first, second := randomSecret(), randomSecret()
	r, err := OpenRing(lockOf(t, 1), nil, [][]byte{first})
	if err != nil {
		t.Fatal(err)
	}
	mine := r.Seal([]byte("mine"), place)
	other, err := NewKey(second)
	if err != nil {
		t.Fatal(err)
	}
	theirs := other.Seal([]byte("theirs"), place)
	if r = again(t, r, second, first); !r.Grew() {
		t.Error("a ring that took a key in has nothing to store")
	}
	for range 2 {
		r = again(t, r)
		opens(t, r, "theirs", theirs, false)
		if _, err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
	}
	opens(t, r, "mine", mine, false)
}

// What is stored of a ring shows no key, and opens with its lock only; a ring is bounded.
func TestAStoredRingIsSealed(t *testing.T) {
	secret := randomSecret()
	r, err := OpenRing(lockOf(t, 1), nil, [][]byte{secret})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := r.Stored()
	if err != nil || bytes.Contains(stored, secret) || bytes.Contains(stored, []byte(base64.StdEncoding.EncodeToString(secret))) {
		t.Errorf("stored as %x, %v", stored, err)
	}
	many := make([][]byte, maxKeys)
	for i := range many {
		many[i] = randomSecret()
	}
	for what, open := range map[string]func() (*Ring, error){
		"another lock":   func() (*Ring, error) { return OpenRing(lockOf(t, 2), stored, [][]byte{secret}) },
		"cut":            func() (*Ring, error) { return OpenRing(lockOf(t, 1), stored[:9], [][]byte{secret}) },
		"emptied":        func() (*Ring, error) { return OpenRing(lockOf(t, 1), []byte{}, [][]byte{secret}) },
		"no keys":        func() (*Ring, error) { return OpenRing(lockOf(t, 1), nil, nil) },
		"too many":       func() (*Ring, error) { return OpenRing(lockOf(t, 1), stored, many) },
		"a key too long": func() (*Ring, error) { return OpenRing(lockOf(t, 1), nil, [][]byte{append(secret, 1)}) },
	} {
		if _, err := open(); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%s: %v, want invalid", what, err)
		}
	}
}
