package failover

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

// What is told of others is as old as it is when it is asked for, not when it was noted.
func TestSightingsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		if told := s.seenNow(); told != nil {
			t.Errorf("told of %v before anybody was seen", told)
		}
		s.sightings.Store(&sightings{[]understudy.Sighting{{Server: "rec-1", Age: time.Second}}, time.Now()})
		time.Sleep(2 * time.Second)
		for range 2 { // asking changes nothing
			if told := s.seenNow(); len(told) != 1 || told[0].Age != 3*time.Second {
				t.Errorf("told %v", told)
			}
		}
	})
}

// Only servers that are well are told of: who is blind, or sees something wrong, is no witness.
func TestOnlyWellServersAreTold(t *testing.T) {
	s := NewState("fo-1", "n", time.Second)
	s.at = 5 * time.Second
	for _, c := range []condition{Unknown, Well, Suspect, Blind, Restarted, Leaving, Sick, Dead} {
		s.watched = append(s.watched, &watch{server: understudy.ServerID(c), heard: 4 * time.Second, verdict: verdict{Condition: c}})
	}
	if told := s.Sightings(); len(told) != 1 || told[0].Server != "well" || told[0].Age != time.Second {
		t.Errorf("told %v", told)
	}
}

// gossip is a home that answers two peers and this server until it dies, while
// the peers' answers come late, doubled and in any order.
type gossip struct {
	t      *rapid.T
	state  State
	now    time.Duration
	died   time.Duration // 0: it lives
	set    time.Duration // by which the home's wall clock was set since
	own    time.Duration // when it answered this server last
	seen   map[understudy.ServerID]understudy.Sighting
	at     map[understudy.ServerID]time.Duration // when it answered each peer last
	onWay  []Answer
	latest map[understudy.ServerID]time.Duration // the newest answer of home that has come here by a peer
}

// answer is what the home says now.
func (g *gossip) answer() understudy.State {
	return understudy.State{Server: "rec-1", Boot: "1", At: at(g.now + g.set), Running: g.now + time.Hour}
}

func (g *gossip) heard() {
	if g.died == 0 {
		w := g.state.watches["rec-1"]
		w.known, w.state, w.heard = true, g.answer(), g.now
		g.own = g.now
	}
}

func (g *gossip) heardBy(peer understudy.ServerID) {
	if g.died == 0 {
		a := g.answer()
		g.seen[peer], g.at[peer] = understudy.Sighting{Server: a.Server, Boot: a.Boot, At: a.At, Running: a.Running}, g.now
	}
}

// asked: a peer answers with what it has seen; the answer is on its way.
func (g *gossip) asked(peer understudy.ServerID) {
	seen, ok := g.seen[peer]
	if !ok {
		return
	}
	seen.Age = g.now - g.at[peer]
	began := g.now - time.Duration(rapid.IntRange(0, 200).Draw(g.t, "asked ago"))*time.Millisecond
	nonsense := []understudy.Sighting{{Server: peer, Boot: "1", Running: 99 * time.Hour}, {Server: "stranger"}, {Server: "rec-1", Boot: "1", Running: 99 * time.Hour, Age: -1}}
	told := append(nonsense, seen)
	g.onWay = append(g.onWay, Answer{Server: peer, Began: began, State: understudy.State{Server: peer, Seen: told}})
}

// comes: one of the answers arrives, or one arrives that stays on its way for another time.
func (g *gossip) comes() {
	if len(g.onWay) == 0 {
		return
	}
	i := rapid.IntRange(0, len(g.onWay)-1).Draw(g.t, "which")
	a := g.onWay[i]
	if !rapid.Bool().Draw(g.t, "doubled") {
		g.onWay = slices.Delete(g.onWay, i, i+1)
	}
	g.state.observeSightings(a)
	seen := a.State.Seen[len(a.State.Seen)-1]
	g.latest[a.Server] = max(g.latest[a.Server], seen.Running-time.Hour)
}

// Whatever comes of others, late, doubled or in any order, and whatever the
// home's clock does: only a peer that has truly heard the home at work, later than this
// server did, is a witness, and none is for longer than a moment after its death.
func TestWitnessesAreTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &gossip{t: t, state: NewState("fo-1", "n", time.Second), seen: map[understudy.ServerID]understudy.Sighting{},
			at: map[understudy.ServerID]time.Duration{}, latest: map[understudy.ServerID]time.Duration{}}
		g.state.watches = map[understudy.ServerID]*watch{"rec-1": {}}
		peers := []understudy.ServerID{"fo-2", "fo-3"}
		for range rapid.IntRange(5, 60).Draw(t, "moments") {
			g.now += time.Duration(rapid.IntRange(1, 500).Draw(t, "passed")) * time.Millisecond
			peer := rapid.SampledFrom(peers).Draw(t, "peer")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1:
				g.heard()
			case 2, 3:
				g.heardBy(peer)
			case 4, 5:
				g.asked(peer)
			case 6, 7, 8:
				g.comes()
			default:
				if g.set += time.Duration(rapid.IntRange(-7200, 7200).Draw(t, "clock")) * time.Second; g.died == 0 && rapid.Bool().Draw(t, "dies") {
					g.died = g.now
				}
			}
			g.check(peers)
		}
	})
}

func (g *gossip) check(peers []understudy.ServerID) {
	if len(g.state.watches) != 1 {
		g.t.Fatalf("a sighting made a watch: %v", g.state.watches)
	}
	w := g.state.watches["rec-1"]
	if w.sighted.by != "" && w.sighted.heard > g.latest[w.sighted.by] {
		g.t.Fatalf("%s is said to have heard the home at %s, and did at %s at the latest", w.sighted.by, w.sighted.heard, g.latest[w.sighted.by])
	}
	who := understudy.ServerID(w.witness(g.now))
	switch {
	case who == "":
		return
	case !slices.Contains(peers, who):
		g.t.Fatalf("%q is no witness", who)
	case g.died > 0 && g.now-g.died >= statusFresh:
		g.t.Fatalf("%s testifies for the home %s after its death", who, g.now-g.died)
	case g.latest[who]-g.own < statusAhead:
		g.t.Fatalf("%s heard the home at %s at the latest, and this server did at %s", who, g.latest[who], g.own)
	}
}

// A peer that has just heard the home, when this server has not for a while, is a
// witness, whatever older news came before, or comes behind its answer.
func TestFreshWitnessesCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewState("fo-1", "n", time.Second)
		ms := func(name string, from, to int) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Millisecond
		}
		own, now := 10*time.Second, 20*time.Second
		s.watches = map[understudy.ServerID]*watch{"rec-1": {known: true, heard: own, state: understudy.State{Boot: "1", Running: own}}}
		tell := func(peer understudy.ServerID, heard, way time.Duration) {
			s.observeSightings(Answer{Server: peer, Began: now - way, State: understudy.State{Seen: []understudy.Sighting{
				{Server: "rec-1", Boot: "1", Running: heard, Age: now - heard}}}})
		}
		way := ms("way", 0, 500)
		fresh := now - ms("ago", 0, int((statusFresh-way)/time.Millisecond)-1)
		older := func() {
			for range rapid.IntRange(0, 3).Draw(t, "older") {
				tell("fo-3", now-statusFresh-ms("older ago", 0, 5000), way)
			}
		}
		older()
		tell("fo-2", fresh, way)
		older()
		w := s.watches["rec-1"]
		if who := w.witness(now); who != "fo-2" {
			t.Fatalf("fo-2 has heard the home %s ago, and the witness is %q", now-fresh, who)
		}
	})
}
