package poll

import (
	"context"
	"sync/atomic"
	"testing"

	"understudy"
)

// A name that comes back after another has answered belongs to a second machine; a restart,
// however often, does not.
func TestAProcessThatComesBack(t *testing.T) {
	for names, back := range map[string]bool{
		"aaa": false, "ab": false, "abcde": false, "aab": false,
		"aba": true, "abca": true, "abcb": true,
	} {
		var b boots
		seen := false
		for _, name := range names {
			seen = b.answered(string(name)) || seen
		}
		if seen != back {
			t.Errorf("answers of %s: came back %v", names, seen)
		}
	}
	var old boots
	if old.answered("") || old.answered("a") || old.answered("") || old.answered("a") {
		t.Error("a server that names no process has come back")
	}
}

// Who asks as a server is compared with who answers at its address now, and not with who did
// before: a server that was restarted is not its own double, and one that does not answer has none.
func TestADouble(t *testing.T) {
	a := newAuthority(t)
	manager := newNode(t, a, "management", understudy.RoleManagement)
	var boot atomic.Value
	boot.Store("first")
	node := newNode(t, a, "rec-1", understudy.RoleRecording)
	addresses := map[understudy.ServerID]string{}
	var stop func()
	addresses["rec-1"], stop = serve(t, listenOn(t, "127.0.0.1:0"), node, func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-1", Boot: boot.Load().(string)}
	})
	silent := listenOn(t, "127.0.0.1:0")
	t.Cleanup(func() { _ = silent.Close() })
	addresses["rec-2"] = silent.Addr().String()
	w := watching(t, manager.ClientTLS, addresses)
	double := func(server understudy.ServerID, boot string) bool {
		t.Helper()
		address, found := w.Double(t.Context(), server, boot)
		if found && address != addresses[server] {
			t.Errorf("the other answers at %s", address)
		}
		return found
	}
	if double("rec-1", "first") || double("rec-1", "") || double("nowhere", "first") {
		t.Error("who has no double has one")
	}
	for range 2 {
		if !double("rec-1", "copy") {
			t.Error("a copy was not found")
		}
	}
	if double("rec-2", "first") {
		t.Error("a server that is silent where it should be was refused elsewhere")
	}
	if boot.Store("second"); double("rec-1", "second") {
		t.Error("a server that was restarted is its own double")
	}
	if !double("rec-1", "another copy") {
		t.Error("a copy was not found after a restart")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, found := w.Double(ctx, "rec-1", "third"); found {
		t.Error("what was not found out was told")
	}
	if stop(); double("rec-1", "moved") {
		t.Error("a server whose old machine is dead was refused at another address")
	}
}

// Two machines with one identity and one address answer in turn.
func TestTwoAnswerInTurn(t *testing.T) {
	a := newAuthority(t)
	manager, node := newNode(t, a, "management", understudy.RoleManagement), newNode(t, a, "rec-1", understudy.RoleRecording)
	var polls atomic.Int64
	address, _ := serve(t, listenOn(t, "127.0.0.1:0"), node, func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-1", Boot: []string{"one", "other"}[polls.Add(1)%2]}
	})
	told := make(chan understudy.ServerID, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	w := NewWatcher(func() (map[understudy.ServerID]string, bool) {
		return map[understudy.ServerID]string{"rec-1": address}, true
	}, manager.ClientTLS)
	w.interval = watchSettle
	w.OnDouble(func(id understudy.ServerID, at string) {
		if at != address {
			t.Errorf("two answer at %s, and it was %s", at, address)
		}
		select {
		case told <- id:
		default:
		}
	})
	go func() { ended <- w.Run(ctx, func([]understudy.ServerStatus) {}) }()
	if id := <-told; id != "rec-1" {
		t.Errorf("told of %s", id)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
