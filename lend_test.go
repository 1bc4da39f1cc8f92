package understudy_test

import (
	"hash/crc32"
	"strings"
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

func TestAPayloadThatIsStoredIsReadBack(t *testing.T) {
	s := &us.Sample{Payload: []byte("coded"), Sum: crc32.Checksum([]byte("coded"), crc32.MakeTable(crc32.Castagnoli))}
	back := 0
	s.Lend(func([]byte) { back++ })
	s.Keep()
	if _, err := s.ReadBack(); us.CodeOf(err) != us.CodeNotFound {
		t.Errorf("read back from nowhere: %v", err)
	}
	s.Stored(strings.NewReader("..coded..other"), 2)
	if !s.TryHold() || back != 0 {
		t.Fatal("it went back although somebody holds it")
	}
	s.Release()
	s.Release()
	if s.TryHold() || back != 1 {
		t.Fatalf("it is stored, nobody holds it, and it went back %d times", back)
	}
	clear(s.Payload) // it is used again
	if own, err := s.ReadBack(); err != nil || string(own.Payload) != "coded" {
		t.Errorf("read back %v, %v", own, err)
	}
	s.Unkeep()
	if back != 1 {
		t.Error("it went back again")
	}
	s.Stored(strings.NewReader("..coded..other"), 9)
	if _, err := s.ReadBack(); us.CodeOf(err) != us.CodeUnavailable {
		t.Errorf("other bytes were taken for it: %v", err)
	}
	s.Stored(strings.NewReader("..cod"), 2)
	if _, err := s.ReadBack(); err == nil {
		t.Error("half of it was taken for it")
	}
}
