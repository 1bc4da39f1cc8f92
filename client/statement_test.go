package client

import (
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"understudy"
	"understudy/internal/identity"
)

// state is what a holder of these tests says of its part, in its own words.
func (h *holder) state(c understudy.CameraID, nonce string) (understudy.SignedStatement, error) {
	part := h.part.Load()
	if h.node == nil || part == nil {
		return understudy.SignedStatement{}, understudy.Errorf(understudy.CodeNotFound, "%s states nothing", h.id)
	}
	said := *part
	said.Server, said.Camera, said.Nonce, said.At = h.id, c, nonce, time.Now().UTC()
	return h.node.SignStatement(said)
}

func (h *holder) states(epoch uint64, receiving bool) {
	h.part.Store(&understudy.Statement{Epoch: epoch, Receiving: receiving})
}

// enlist gives holders keys of one installation, and has c verify what they sign.
func enlist(t *testing.T, c *Client, holders ...*holder) {
	t.Helper()
	authority, err := identity.OpenAuthority(t.TempDir())
	check(t, err)
	for _, h := range holders {
		folder := t.TempDir()
		request, err := identity.NewJoinRequest(folder)
		check(t, err)
		role := understudy.RoleRecording
		if strings.HasPrefix(string(h.id), "fo-") {
			role = understudy.RoleFailover
		}
		certificate, err := authority.Sign(request, h.id, role, nil, 0)
		check(t, err)
		h.node, err = identity.SaveNode(folder, certificate, authority.Trust())
		check(t, err)
	}
	c.config.Verify, err = identity.StatementVerifier([]byte(authority.Trust().CA))
	check(t, err)
}

// asked counts the questions to a holder whose path ends so, from now on.
func (h *holder) asked(suffix string, and func()) chan struct{} {
	all := make(chan struct{}, 1000)
	h.hook(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, suffix) {
			all <- struct{}{}
		}
		and()
		return false
	})
	return all
}

// With nobody to tell it, a viewer whose server hangs goes to the one that says
// that it serves the camera under the highest epoch, without having tried the one
// that hangs anew.
func TestLiveLeavesAHangingServerForTheHighestEpoch(t *testing.T) {
	home, first, second := newHolder(t, "rec-1"), newHolder(t, "fo-1"), newHolder(t, "fo-2")
	addresses := map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": first.address(), "fo-2": second.address()}
	site := siteOf(addresses, "rec-1", 1)
	site.RecordingServers[0].PrimaryGroup = "spares"
	site.Groups = []understudy.FailoverGroup{{ID: "spares", Members: []understudy.ServerID{"fo-2"}}}
	c := newMember(t, site)
	enlist(t, c, home, first, second)
	home.states(1, true)
	home.show(t)
	servers := watching(t, c)
	expect(t, servers, "rec-1")
	release := make(chan struct{})
	defer close(release)
	again := home.asked("/live", func() { <-release })
	first.show(t)
	first.states(2, true)
	second.show(t)
	second.states(3, true)
	for got := range servers { // it may have heard the other one first
		if got == "fo-2" {
			break
		}
	}
	if len(again) > 0 {
		t.Error("the server that hangs was connected to again first")
	}
}

// A server that says that it serves the camera no more is left, and one that
// answers and only has no picture is not: the camera is silent.
func TestLiveStaysWithASilentCamera(t *testing.T) {
	home, standby := newHolder(t, "rec-1"), newHolder(t, "fo-1")
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 1))
	enlist(t, c, home, standby)
	home.states(1, false)
	standby.states(0, false)
	home.show(t)
	dialled := standby.asked("/live", func() {})
	stated := home.asked("/statement", func() {})
	servers := watching(t, c)
	expect(t, servers, "rec-1")
	standby.show(t)
	for range 4 {
		<-stated
	}
	for len(servers) > 0 {
		expect(t, servers, "rec-1")
	}
	if len(dialled) > 0 {
		t.Error("a viewer of a silent camera went to a standby")
	}
	home.states(0, false)
	standby.states(1, true)
	for got := range servers {
		if got == "fo-1" {
			break
		}
	}
}

// What answers another question, is another server's word or changed on the way proves nothing.
func TestStatementsOfOthersAreRefused(t *testing.T) {
	home, standby := newHolder(t, "rec-1"), newHolder(t, "fo-1")
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 1))
	enlist(t, c, home, standby)
	home.states(1, true)
	standby.states(2, true)
	ask := func() (understudy.Statement, error) { return c.stated(t.Context(), "fo-1", standby.address(), "lobby") }
	if said, err := ask(); err != nil || said.Epoch != 2 || !said.Receiving || said.Server != "fo-1" {
		t.Fatalf("%+v: %v", said, err)
	}
	for name, answer := range map[string]func(*http.Request) string{
		"an old answer": func(*http.Request) string { return recorded(t, standby, "lobby", "0123456789abcdef") },
		"another server's": func(r *http.Request) string {
			return recorded(t, home, "lobby", r.URL.Query().Get("nonce"))
		},
		"another camera's": func(r *http.Request) string {
			return recorded(t, standby, "yard", r.URL.Query().Get("nonce"))
		},
	} {
		standby.hook(func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.WriteString(w, answer(r))
			return true
		})
		if said, err := ask(); understudy.CodeOf(err) != understudy.CodeForbidden || said != (understudy.Statement{}) {
			t.Errorf("%s: believed %+v: %v", name, said, err)
		}
	}
	standby.hook(func(w http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(w, "<html>"); return true })
	if _, err := ask(); understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("a proxy's page: %v", err)
	}
}

// However many views ask, a server has a few questions at once; when it hangs,
// all of them know it in the time of one.
func TestManyViewsAskLittleAtOnce(t *testing.T) {
	standby := newHolder(t, "fo-1")
	c := newMember(t, siteOf(map[understudy.ServerID]string{"fo-1": standby.address()}, "fo-1", 1))
	enlist(t, c, standby)
	standby.states(1, true)
	var now, tooMany atomic.Int64
	release := make(chan struct{})
	standby.hook(func(_ http.ResponseWriter, r *http.Request) bool {
		defer now.Add(-1)
		// Of a question that was given up the server hears a moment later than the next one is asked.
		if now.Add(1) > statedAtOnce {
			for deadline := time.Now().Add(5 * time.Second); now.Load() > statedAtOnce; runtime.Gosched() {
				if time.Now().After(deadline) {
					tooMany.Store(now.Load())
					break
				}
			}
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return false
	})
	var asking sync.WaitGroup
	var silent atomic.Int64
	for range 10 * statedAtOnce {
		asking.Go(func() {
			if _, err := c.stated(t.Context(), "fo-1", standby.address(), "lobby"); understudy.CodeOf(err) == understudy.CodeUnavailable {
				silent.Add(1)
			}
		})
	}
	asking.Wait()
	close(release)
	if tooMany.Load() > 0 || silent.Load() != 10*statedAtOnce {
		t.Errorf("%d were asked at once, and %d of %d know that it hangs", tooMany.Load(), silent.Load(), 10*statedAtOnce)
	}
	if said, err := c.stated(t.Context(), "fo-1", standby.address(), "lobby"); err != nil || said.Epoch != 1 {
		t.Errorf("once it goes on: %+v, %v", said, err)
	}
}

// recorded is a genuine answer of a server to a question with that nonce.
func recorded(t *testing.T, h *holder, camera understudy.CameraID, nonce string) string {
	t.Helper()
	signed, err := h.state(camera, nonce)
	check(t, err)
	text, err := json.Marshal(signed)
	check(t, err)
	return string(text)
}

// TestBetter is where a viewer goes to, of all that servers may have said.
func TestBetter(t *testing.T) {
	now := time.Now()
	says := func(epoch uint64, receiving bool) word {
		return word{asked: now, said: understudy.Statement{Epoch: epoch, Receiving: receiving}}
	}
	away := word{asked: now, refused: io.EOF}
	old := word{asked: now.Add(-wordHolds - 1), said: understudy.Statement{Epoch: 9, Receiving: true}}
	for name, test := range map[string]struct {
		shown   understudy.ServerID // with epoch 1; empty: nobody's picture
		doubted bool
		heard   bool
		home    word
		standby word
		want    understudy.ServerID
	}{
		"nothing is known":                           {"rec-1", true, false, word{}, word{}, ""},
		"the holder hangs, the standby waits":        {"rec-1", true, false, away, says(0, false), ""},
		"the holder hangs, the standby serves":       {"rec-1", true, false, away, says(2, true), "fo-1"},
		"the same, and a management server is there": {"rec-1", true, true, away, says(2, true), "fo-1"},
		"the holder hangs, a mirror shows":           {"rec-1", true, false, away, says(0, true), "fo-1"},
		"the holder was not heard yet":               {"rec-1", true, false, word{}, says(2, true), ""},
		"the holder denies":                          {"rec-1", true, false, says(0, true), says(1, true), "fo-1"},
		"the camera is silent":                       {"rec-1", true, false, says(1, false), says(0, false), ""},
		"the holder lost the camera":                 {"rec-1", true, false, says(1, false), says(0, true), "fo-1"},
		"the connection is stuck":                    {"rec-1", true, false, says(1, true), says(0, false), ""},
		"both serve, the standby later":              {"rec-1", true, false, says(1, true), says(2, true), "fo-1"},
		"both serve, and leases are told":            {"rec-1", true, true, says(1, true), says(2, true), ""},
		"the picture is well, and later elsewhere":   {"rec-1", false, false, says(1, true), says(2, true), "fo-1"},
		"the picture is well, and leases are told":   {"rec-1", false, true, says(1, true), says(2, true), ""},
		"the picture is well, an answer is lost":     {"rec-1", false, false, away, says(1, true), ""},
		"the picture is well, home came back":        {"fo-1", false, false, says(1, true), says(2, true), ""},
		"a mirror shows what it serves no more":      {"fo-1", false, true, says(1, true), says(0, true), "rec-1"},
		"the same, and home is away still":           {"fo-1", false, true, away, says(0, true), ""},
		"equal epochs":                               {"fo-1", true, false, says(2, true), says(2, true), ""},
		"nobody's picture":                           {"", true, false, away, says(0, true), "fo-1"},
		"an answer of long ago":                      {"rec-1", true, false, away, old, ""},
	} {
		c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": "10.0.0.1:7563", "fo-1": "10.0.0.2:7563"}, "rec-1", 1))
		site, _ := c.Current()
		v := &view{client: c, camera: "lobby", site: site, lease: *site.Leases[0], shown: now, words: newWords()}
		if test.heard {
			c.hear()
		}
		if test.doubted {
			v.shown = now.Add(-doubtAfter)
		}
		if test.shown != "" {
			v.current = &session{server: test.shown, epoch: 1}
		}
		for server, w := range map[understudy.ServerID]word{"rec-1": test.home, "fo-1": test.standby} {
			w.server = server
			v.words.last[server] = w
		}
		if got := v.better(now); got != test.want {
			t.Errorf("%s: goes to %q, not %q", name, got, test.want)
		}
	}
}
