package main

import (
	"strings"
	"testing"

	"understudy"
)

// A lock that is changed ends when it would have.
func TestALockKeepsWhatIsNotGiven(t *testing.T) {
	m := signedInAt(t, "")
	m.joined(t, []understudy.ServerID{"rec1"}, nil)
	m.withCameras(t, "rec1", "lobby")
	lock := read[understudy.Lock](t, "", "lock", "add", "lobby", "--from", "2026-11-23T14:00:00Z", "--to", "2026-11-23T14:20:00Z", "--reason", "case 1", "--for", "8760h")
	lock.Reason = "case 2"
	same(t, "a lock", read[understudy.Lock](t, "", "lock", "add", "lobby", "--id", lock.ID, "--reason", "case 2"), lock)
	if s := said(t, "", "lock", "add", "lobby", "--reason", "case 3", "--id", "none"); !strings.Contains(s, "--from is missing") {
		t.Errorf("a new lock: %q", s)
	}
}
