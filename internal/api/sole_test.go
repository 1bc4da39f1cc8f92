package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// Whoever has the key of a recording or failover server and does not say which process it is gets
// nothing at all, and is told of; a service channel of an older version, which says none, follows the site.
func TestAServerThatNamesNoProcess(t *testing.T) {
	s := newSite(t)
	told := make(chan understudy.ServerID, 1000)
	s.config.Identify.Sole.Nameless = func(server understudy.ServerID, _ string) { told <- server }
	all := s.askers()
	for _, pattern := range s.server.gate.patterns {
		if s.server.gate.declared[pattern].allow == nil {
			continue
		}
		if strings.HasPrefix(pattern, "/") { // of any method
			pattern = "GET " + pattern
		}
		for _, name := range []string{rec1, fo1} {
			method, path, _ := strings.Cut(pattern, " ")
			path = strings.NewReplacer("{id}", strings.Fields(name)[2], "{name}", "ada").Replace(path)
			status, text := asker{all[name].http, nil}.ask(t, method, "https://"+s.address+path, "")
			if status != http.StatusForbidden || !strings.Contains(text, understudy.BootHeader) {
				t.Errorf("%s of %s without a process: %d %s", pattern, name, status, text)
			} else if by := <-told; !strings.HasSuffix(name, string(by)) {
				t.Errorf("%s of %s is told of as %s", pattern, name, by)
			}
		}
	}
	if status, text := (asker{all[channelOne].http, nil}).ask(t, "GET", "https://"+s.address+"/api/v1/trust", ""); status != http.StatusOK {
		t.Errorf("a service channel of an older version: %d %s", status, text)
	}
}

// The first process of a service channel is let in, however often it asks, for as long as it is connected;
// another is refused and told of. One that follows upon the first within a moment is a restart.
func TestASecondServiceChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		s := &Sole{Copied: func(server understudy.Identity, from, at string) {
			told = append(told, string(server.Server)+" "+from+" "+at)
		}}
		one, two := understudy.Identity{Server: "ch1", Role: understudy.RoleChannel}, understudy.Identity{Server: "ch2", Role: understudy.RoleChannel}
		admit := func(ctx context.Context, server understudy.Identity, boot, from string, in bool) {
			t.Helper()
			if err := s.Admit(ctx, server, boot, from); (err == nil) != in {
				t.Errorf("%s as process %q: %v", server, boot, err)
			}
		}
		feed, disconnect := context.WithCancel(t.Context())
		for range 3 {
			admit(feed, one, "a", "10.0.0.1", true)
		}
		short, end := context.WithCancel(t.Context())
		admit(short, one, "a", "10.0.0.1", true)
		admit(t.Context(), two, "c", "10.0.0.2", true)
		end()
		synctest.Wait()
		admit(t.Context(), one, "b", "10.0.0.9", false)
		admit(t.Context(), one, "", "10.0.0.8", false)
		if want := "ch1 10.0.0.9 10.0.0.1,ch1 10.0.0.8 10.0.0.1"; strings.Join(told, ",") != want {
			t.Errorf("told was %v, want %s", told, want)
		}
		admit(feed, one, "a", "10.0.0.1", true)
		time.AfterFunc(departing/2, disconnect)
		again, stop := context.WithCancel(t.Context())
		admit(again, one, "b", "10.0.0.1", true)
		admit(t.Context(), one, "a", "10.0.0.1", false)
		stop()
		synctest.Wait()
		if s.channels["ch1"] != nil || s.channels["ch2"] == nil {
			t.Errorf("who has gone is remembered, or who is there is not: %v", s.channels)
		}
	})
}
