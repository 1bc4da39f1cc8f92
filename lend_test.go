package understudy_test

import (
	"testing"

	us "understudy"
)

func TestALentPayloadGoesBackWhenTheLastHolderReleasesIt(t *testing.T) {
	back := 0
	s := &us.Sample{Payload: []byte("coded")}
	s.Lend(func([]byte) { back++ })
	s.Hold()
	own := s.Detached()
	s.Release()
	if back != 0 {
		t.Fatal("it went back although somebody holds it")
	}
	s.Release()
	if back != 1 {
		t.Fatalf("it went back %d times", back)
	}
	clear(s.Payload) // it is used again
	if string(own.Payload) != "coded" {
		t.Errorf("a detached sample changed to %q", own.Payload)
	}
	own.Release() // means nothing: nobody lent it
	own.Hold()
	if own.Detached() != own || back != 1 {
		t.Error("a sample that nobody lent was copied or went back")
	}
}
