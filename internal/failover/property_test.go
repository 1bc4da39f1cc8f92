package failover

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

// world makes random observations of two homes: rec-1 in hot standby with
// cameras a and b, rec-2 in cold standby with camera c, and a second failover server.
type world struct {
	t     *rapid.T
	state State
	now   time.Duration
	want  Want
	site  understudy.Site
	boots map[understudy.ServerID]int
	// moving is since when each server's answers have shown a camera's watermark moving.
	moving   map[understudy.ServerID]map[understudy.CameraID]time.Duration
	last     map[understudy.ServerID]time.Duration // answer
	recorded map[understudy.CameraID]bool
	steps    int
	seen     []Observation // in order
	bare     bool          // nothing is recorded here: what was is put down at once
}

var camerasOf = map[understudy.ServerID][]understudy.CameraID{"rec-1": {"a", "b"}, "rec-2": {"c"}, "fo-2": {"a", "b", "c"}}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, state: NewState("fo-1", "n", time.Second), boots: map[understudy.ServerID]int{},
		moving: map[understudy.ServerID]map[understudy.CameraID]time.Duration{}, last: map[understudy.ServerID]time.Duration{},
	}
	w.site.Seq = 1
	w.site.FailoverServers = []understudy.FailoverServer{{ID: "fo-2", Addresses: understudy.Addresses{State: "fo-2:11000"}}}
	for _, home := range []understudy.ServerID{"rec-1", "rec-2"} {
		for _, c := range camerasOf[home] {
			w.site.Cameras = append(w.site.Cameras, understudy.Camera{ID: c, Home: home})
			w.site.Leases = append(w.site.Leases, &understudy.Lease{Camera: c, Holder: home, Epoch: 1})
		}
	}
	w.own("a", "b", "c")
	w.duties()
	w.tellSite()
	return w
}

func (w *world) step(o Observation) {
	o.At = w.now
	w.seen = append(w.seen, o)
	next, want := Step(w.state, o)
	if w.steps++; w.steps%8 == 0 { // had the first call changed the state, the second would see it
		again, wantAgain := Step(w.state, o)
		if !reflect.DeepEqual(want, wantAgain) || !reflect.DeepEqual(next, again) {
			w.t.Fatalf("Step gave two answers to one question:\n%+v\n%+v", want, wantAgain)
		}
	}
	w.state, w.want = next, want
	w.checkPutDown()
}

// checkPutDown: what was recorded here goes on until another server has been
// seen recording it; no sample is ever proven equal in this world, so that takes ten seconds.
func (w *world) checkPutDown() {
	now := map[understudy.CameraID]bool{}
	for _, c := range w.want.Record {
		now[c.Camera.ID] = true
	}
	for camera := range w.recorded {
		if !now[camera] && !w.bare && !w.recordedElsewhere(camera) {
			w.t.Fatalf("camera %s is put down at %s, and nobody else records it", camera, w.now)
		}
	}
	w.recorded = now
}

func (w *world) recordedElsewhere(camera understudy.CameraID) bool {
	for server, since := range w.moving {
		if from, ok := since[camera]; ok && w.now-from >= overlapBound && w.now-w.last[server] <= moving {
			return true
		}
	}
	return false
}

func (w *world) own(covered ...understudy.CameraID) {
	w.step(Observation{Own: &Own{Covered: covered, Writable: true}})
}

func (w *world) duties() {
	duty := func(home understudy.ServerID, standby understudy.Standby, rank int) understudy.Duty {
		d := understudy.Duty{Home: understudy.RecordingServer{ID: home, Addresses: understudy.Addresses{State: string(home) + ":11000"}}}
		for _, c := range camerasOf[home] {
			d.Cameras = append(d.Cameras, understudy.StandbyCamera{Standby: standby, Rank: rank,
				AssignedCamera: understudy.AssignedCamera{Camera: understudy.Camera{ID: c, Home: home}, Epoch: 1, Record: true}})
		}
		return d
	}
	w.step(Observation{Duties: &[]understudy.Duty{duty("rec-1", understudy.StandbyHot, 0), duty("rec-2", understudy.StandbyCold, 1)}})
}

func (w *world) tellSite() {
	site := w.site
	w.step(Observation{Site: &site})
}

// answer is a well server's: every watermark moves, unless still.
func (w *world) answer(id understudy.ServerID, still, unwritable bool) {
	state := understudy.State{Server: id, Boot: fmt.Sprint(w.boots[id]), At: at(w.now), Storage: understudy.StorageState{Writable: !unwritable}}
	if w.moving[id] == nil || w.now-w.last[id] > moving {
		w.moving[id] = map[understudy.CameraID]time.Duration{}
	}
	w.last[id] = w.now
	for _, c := range camerasOf[id] {
		mark := understudy.Watermark{At: at(w.now)}
		if still {
			mark.At = at(0)
			delete(w.moving[id], c)
		} else if _, ok := w.moving[id][c]; !ok {
			w.moving[id][c] = w.now
		}
		state.Cameras = append(state.Cameras, understudy.CameraState{Camera: c, Receiving: !still, Watermark: mark})
	}
	w.step(Observation{Answer: &Answer{Server: id, Began: w.now - time.Millisecond, State: state}})
}

func (w *world) fail(id understudy.ServerID, kind FailureKind, began time.Duration) {
	w.step(Observation{Failure: &Failure{Server: id, Kind: kind, Began: began, Why: "no"}})
}

// chaos observes anything at all.
func (w *world) chaos(steps int) {
	servers := []understudy.ServerID{"rec-1", "rec-2", "fo-2"}
	for range rapid.IntRange(0, steps).Draw(w.t, "steps") {
		w.now += time.Duration(rapid.SampledFrom([]int{0, 1, 50, 100, 250, 700}).Draw(w.t, "ms")) * time.Millisecond
		id := rapid.SampledFrom(servers).Draw(w.t, "server")
		switch rapid.IntRange(0, 14).Draw(w.t, "event") {
		case 0, 1, 2, 3:
			w.answer(id, rapid.Bool().Draw(w.t, "still"), rapid.IntRange(0, 5).Draw(w.t, "disk") == 0)
		case 4, 5, 6:
			w.fail(id, Refused, w.now)
		case 7:
			w.fail(id, rapid.SampledFrom([]FailureKind{Broken, Silent, Unheard}).Draw(w.t, "kind"), w.now)
		case 8:
			w.boots[id]++
		case 9:
			w.moveLease()
		case 10:
			w.answerClaim()
		case 11:
			up := rapid.Bool().Draw(w.t, "up")
			w.step(Observation{Reached: &up})
		case 12:
			w.now += rapid.SampledFrom([]time.Duration{time.Second, 4 * time.Second}).Draw(w.t, "pause")
			w.step(Observation{})
		case 13:
			w.ticks(rapid.SampledFrom([]time.Duration{time.Second, 4 * time.Second}).Draw(w.t, "quiet"))
		case 14:
			w.answerCalls()
		}
	}
}

// answerCalls ends all rounds of calls; some of the cameras answer, or none.
func (w *world) answerCalls() {
	for _, round := range slices.Sorted(maps.Keys(w.want.Call)) {
		o := Observation{Called: round}
		for _, c := range w.want.Call[round] {
			if rapid.Bool().Draw(w.t, "answers") {
				o.Answered = append(o.Answered, c.ID)
			}
		}
		w.step(o)
	}
}

func (w *world) ticks(d time.Duration) {
	for end := w.now + d; w.now < end; {
		w.now += tick
		w.step(Observation{})
	}
}

// moveLease lets anybody hold a camera, as the management server might have granted it.
func (w *world) moveLease() {
	i := rapid.IntRange(0, len(w.site.Leases)-1).Draw(w.t, "lease")
	lease := *w.site.Leases[i]
	lease.Holder = rapid.SampledFrom([]understudy.ServerID{"rec-1", "rec-2", "fo-1", "fo-2"}).Draw(w.t, "holder")
	if lease.Holder != "fo-1" && lease.Holder != "fo-2" {
		lease.Holder = w.site.Cameras[i].Home
	}
	lease.Epoch++
	w.setLease(i, lease)
	w.site.Seq++
	w.tellSite()
}

// setLease puts a lease in the i-th place of a list of its own: who heard the old list keeps it.
func (w *world) setLease(i int, lease understudy.Lease) {
	w.site.Leases = slices.Clone(w.site.Leases)
	w.site.Leases[i] = &lease
}

func (w *world) answerClaim() {
	for _, c := range w.want.Claims {
		answer := Claimed{ID: c.ID, Home: c.Home}
		for _, camera := range c.Cameras {
			lease, _ := w.site.Lease(camera.Camera)
			if camera.Epoch != lease.Epoch {
				answer.Answer.Refused = append(answer.Answer.Refused, understudy.Refusal{Camera: camera.Camera, Lease: lease})
				continue
			}
			lease.Holder, lease.Epoch = "fo-1", lease.Epoch+1
			for i, old := range w.site.Leases {
				if old.Camera == lease.Camera {
					w.setLease(i, lease)
				}
			}
			answer.Answer.Granted = append(answer.Answer.Granted, lease)
			answer.Answer.Assignment.Cameras = append(answer.Answer.Assignment.Cameras, understudy.AssignedCamera{
				Camera: understudy.Camera{ID: camera.Camera, Home: c.Home}, Epoch: lease.Epoch, Record: true})
		}
		w.step(Observation{Claimed: &answer})
		return
	}
}

// A server that answers is not stood in for, whatever else is seen or heard of it.
func TestNoTakeoverWhileAnswersAreHealthy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 120).Draw(t, "rounds") {
			for _, id := range []understudy.ServerID{"rec-1", "rec-2"} {
				w.answer(id, false, false)
				if rapid.Bool().Draw(t, "failure") {
					w.fail(id, rapid.SampledFrom([]FailureKind{Broken, Silent, Refused}).Draw(t, "kind"), w.now)
				}
			}
			switch rapid.IntRange(0, 6).Draw(t, "besides") {
			case 0:
				w.duties()
			case 1:
				w.tellSite()
			case 2:
				up := rapid.Bool().Draw(t, "up")
				w.step(Observation{Reached: &up})
			case 3:
				w.step(Observation{Status: []understudy.ServerStatus{{Server: "rec-1", Sentence: "unreachable"}}})
			case 4:
				w.now += rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, "own pause")
				w.step(Observation{})
			}
			w.now += time.Duration(rapid.IntRange(100, 600).Draw(t, "ms")) * time.Millisecond
			if len(w.want.Claims) > 0 || len(w.want.Record) > 0 {
				t.Fatalf("a healthy server is stood in for at %s: %+v", w.now, w.want)
			}
		}
	})
}

// Whatever was held of others before this server stood still, is not held on waking.
func TestOwnPauseClearsSuspicions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.chaos(80)
		before := w.now
		w.now += pauseMax + time.Duration(rapid.IntRange(1, 100_000).Draw(t, "ms"))*time.Millisecond
		w.step(Observation{})
		for _, id := range []understudy.ServerID{"rec-1", "rec-2", "fo-2"} {
			for range 3 { // what was under way when it stood still
				w.fail(id, Refused, before)
				w.fail(id, Unheard, before)
			}
		}
		if len(w.want.Claims) > 0 || len(w.want.Verify) > 0 {
			t.Fatalf("suspicions outlived a pause of this server itself: %+v", w.want)
		}
	})
}

// Wants are levels: looking again changes nothing, and says nothing.
func TestWantsAreLevels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.chaos(80)
		w.tellSite()
		want := w.want
		want.Said = nil
		for _, again := range []func(){func() { w.step(Observation{}) }, w.tellSite, w.tellSite} {
			again()
			if !reflect.DeepEqual(w.want, want) {
				t.Fatalf("the same again is wanted otherwise:\n%+v\n%+v", want, w.want)
			}
		}
	})
}

// Nothing but recording fences recording (checkPutDown), and no claim is made
// that nobody could grant.
func TestAnythingMayHappen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 60).Draw(t, "rounds") {
			w.chaos(3)
			for _, c := range w.want.Claims {
				if c.Claimant != "fo-1" || len(c.Sentence) == 0 || len(c.Sentence) > 2000 || len(c.ID) < 8 || len(c.ID) > 64 {
					t.Fatalf("a claim that nobody could grant: %+v", c)
				}
				for _, camera := range c.Cameras {
					if w.state.leases[camera.Camera].Holder == "fo-1" {
						t.Fatalf("camera %s is asked for though it is held", camera.Camera)
					}
				}
			}
		}
	})
}

// What cameras say when they are called holds back claims, and nothing else: while
// the management server answers, the same is recorded as if none had been called.
// No lease is asked for of a server that is only silent while none of its cameras
// has answered, and none is recorded here.
func TestWhatCamerasSayHoldsBackClaimsOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.bare = true
		w.own()
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			up := true
			w.step(Observation{Reached: &up})
			if rapid.Bool().Draw(t, "silence") {
				w.ticks(silenceMax + time.Second)
				w.answerCalls()
				w.fail("rec-1", Unheard, w.now)
			} else {
				w.chaos(2)
			}
			for _, claim := range w.want.Claims {
				for _, c := range claim.Cameras {
					holder := w.state.leases[c.Camera].Holder
					if v := w.state.watch(holder); v.verdict.unheard() && !v.refusedEnough() && v.call.failed() {
						t.Fatalf("camera %s is asked for at %s, and no camera of %s answers: %+v", c.Camera, w.now, holder, v.call)
					}
				}
			}
		}
		with, without := NewState("fo-1", "n", time.Second), NewState("fo-1", "n", time.Second)
		for _, o := range w.seen {
			if o.Reached != nil {
				up := true
				o.Reached = &up
			}
			want := with.Advance(o)
			if o.Called > 0 {
				o.Called, o.Answered = 0, nil
			}
			if other := without.Advance(o); !reflect.DeepEqual(recordedIn(want), recordedIn(other)) {
				t.Fatalf("at %s it records %v, and %v where no camera was called", o.At, recordedIn(want), recordedIn(other))
			}
		}
	})
}

func recordedIn(w Want) (cameras []string) {
	for _, c := range w.Record {
		cameras = append(cameras, fmt.Sprintf("%s/%d", c.Camera.ID, c.Epoch))
	}
	return cameras
}
