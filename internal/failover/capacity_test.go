package failover

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

// measured is what a story's cameras are like.
type measured struct {
	camera understudy.Camera
	bits   int64
}

// describeCamera reads "a priority=3 mbit=8 sub live": what it is like, before it stands in a duty.
func (s *story) describeCamera(args []string) {
	id := understudy.CameraID(args[0])
	m := measured{camera: understudy.Camera{ID: id}}
	for _, word := range args[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "priority":
			m.camera.Priority = s.number(value)
		case "mbit":
			m.bits = int64(s.number(value)) * 1e6
		case "sub":
			m.camera.Sub = "rtsp://" + args[0] + "/sub"
		case "live":
			m.camera.Failover = understudy.SupportLive
		default:
			s.t.Fatalf("no such word of a camera: %s", word)
		}
	}
	s.cameras[id] = m
}

// observeCapacity reads "cameras=3 mbit=10 hours=24": of fo-1, as the channel tells it.
func (s *story) observeCapacity(args []string) {
	s.capacity = understudy.Capacity{}
	for _, word := range args {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "cameras":
			s.capacity.Cameras = s.number(value)
		case "mbit":
			s.capacity.BitRate = int64(s.number(value)) * 1e6
		case "hours":
			s.capacity.DiskFor = time.Duration(s.number(value)) * time.Hour
		default:
			s.t.Fatalf("no such bound of a capacity: %s", word)
		}
	}
	s.site.FailoverServers = s.failoverServers()
	s.site.Seq++
	site := s.site
	s.step(Observation{Site: &site})
}

func (s *story) failoverServers() []understudy.FailoverServer {
	return []understudy.FailoverServer{
		{ID: "fo-1", Capacity: s.capacity},
		{ID: "fo-2", Addresses: understudy.Addresses{State: "fo-2:11000"}},
	}
}

// observeLoad reads "room=90": gigabytes of the own disk.
func (s *story) observeLoad(args []string) {
	free := int64(s.number(strings.TrimPrefix(args[0], "room="))) * 1e9
	s.step(Observation{Load: &understudy.State{Storage: understudy.StorageState{FreeBytes: free}}})
}

func (s *story) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// how says how a camera is carried, where it is not in full.
func how(c understudy.AssignedCamera) string {
	words := ""
	if c.Stream == understudy.StreamSub {
		words += "+sub"
	}
	if !c.Record {
		words += "+live"
	}
	return words
}

// shortWorld is a site of random cameras, of which a random part has no server but fo-1.
type shortWorld struct {
	t     *rapid.T
	state State
	now   time.Duration
	want  Want
	room  bounds
	homes map[understudy.ServerID][]understudy.Camera
	rates map[understudy.CameraID]int64
	dead  map[understudy.ServerID]bool
}

func newShortWorld(t *rapid.T) *shortWorld {
	w := &shortWorld{t: t, state: NewState("fo-1", "n", time.Second), homes: map[understudy.ServerID][]understudy.Camera{},
		rates: map[understudy.CameraID]int64{}, dead: map[understudy.ServerID]bool{}}
	w.room.Cameras = rapid.IntRange(0, 6).Draw(t, "cameras")
	w.room.BitRate = int64(rapid.IntRange(0, 20).Draw(t, "mbit")) * 1e6
	w.room.DiskFor = time.Duration(rapid.IntRange(0, 10).Draw(t, "hours")) * time.Hour
	w.room.room = int64(rapid.IntRange(1, 60).Draw(t, "room")) * 1e9
	site := understudy.Site{Seq: 1, FailoverServers: []understudy.FailoverServer{{ID: "fo-1", Capacity: w.room.Capacity}}}
	var duties []understudy.Duty
	for h := range 3 {
		home := understudy.ServerID(fmt.Sprintf("rec-%d", h))
		d := understudy.Duty{Home: understudy.RecordingServer{ID: home, Addresses: understudy.Addresses{State: string(home) + ":11000"}}}
		standby := rapid.SampledFrom([]understudy.Standby{understudy.StandbyHot, understudy.StandbyMirror}).Draw(t, "standby")
		for c := range rapid.IntRange(1, 4).Draw(t, "of a home") {
			camera := understudy.Camera{ID: understudy.CameraID(fmt.Sprintf("c%d%d", h, c)), Home: home, Priority: rapid.IntRange(0, 3).Draw(t, "priority")}
			if rapid.Bool().Draw(t, "sub") {
				camera.Sub = "rtsp://sub/"
			}
			if rapid.IntRange(0, 3).Draw(t, "support") == 0 {
				camera.Failover = understudy.SupportLive
			}
			w.rates[camera.ID] = int64(rapid.IntRange(1, 9).Draw(t, "rate")) * 1e6
			w.homes[home] = append(w.homes[home], camera)
			site.Cameras = append(site.Cameras, camera)
			site.Leases = append(site.Leases, &understudy.Lease{Camera: camera.ID, Holder: home, Epoch: 1})
			d.Cameras = append(d.Cameras, understudy.StandbyCamera{Standby: standby,
				AssignedCamera: understudy.AssignedCamera{Camera: camera, Epoch: 1, Record: camera.Failover != understudy.SupportLive}})
		}
		duties = append(duties, d)
	}
	up := true
	w.step(Observation{Reached: &up})
	w.step(Observation{Own: &Own{Writable: true}})
	w.load(nil)
	w.step(Observation{Duties: &duties})
	w.step(Observation{Site: &site})
	return w
}

func (w *shortWorld) step(o Observation) {
	o.At = w.now
	w.state, w.want = Step(w.state, o)
}

func (w *shortWorld) load(cameras []understudy.CameraState) {
	w.step(Observation{Load: &understudy.State{Cameras: cameras, Storage: understudy.StorageState{FreeBytes: w.room.room}}})
}

// pass lets a second pass, in which the living answer and claims are granted.
func (w *shortWorld) pass() {
	for range 4 {
		w.now += 250 * time.Millisecond
		for _, home := range sorted(w.homes) {
			if w.dead[home] {
				w.step(Observation{Failure: &Failure{Server: home, Kind: Refused, Began: w.now}})
				continue
			}
			state := understudy.State{Server: home, Boot: "1", At: at(w.now), Storage: understudy.StorageState{Writable: true}}
			for _, c := range w.homes[home] {
				state.Cameras = append(state.Cameras, understudy.CameraState{Camera: c.ID, Receiving: true, Recording: true,
					Watermark: understudy.Watermark{At: at(w.now)}, BitsPerSecond: w.rates[c.ID]})
			}
			w.step(Observation{Answer: &Answer{Server: home, Began: w.now - time.Millisecond, State: state}})
		}
		for _, c := range slices.Clone(w.want.Claims) {
			w.grant(c)
		}
	}
}

func (w *shortWorld) grant(c understudy.Claim) {
	a := Claimed{ID: c.ID, Home: c.Home}
	for _, camera := range c.Cameras {
		a.Answer.Granted = append(a.Answer.Granted, understudy.Lease{Camera: camera.Camera, Holder: "fo-1", Epoch: camera.Epoch + 1})
	}
	w.step(Observation{Claimed: &a})
}

// mirrored is what the streams take of it that are kept open besides.
func (w *shortWorld) mirrored() (total cost) {
	for _, c := range w.want.Mirror {
		total = total.plus(w.state.wayOf(c.Camera, "", false).cost)
	}
	return total
}

// carried is what is taken of the capacity, and by which cameras.
func (w *shortWorld) carried() (cost, map[understudy.CameraID]way) {
	total, ways := cost{}, map[understudy.CameraID]way{}
	for _, c := range w.want.Record {
		way := w.state.wayOf(c.Camera, c.Stream, c.Record)
		total, ways[c.Camera.ID] = total.plus(way.cost), way
	}
	return total, ways
}

// However servers die: once things have settled, never more is carried than
// there is room for; nothing is left out that lesser cameras make room for; all
// is carried if all has room; and what is left out is named for others, and not
// claimed. Streams that a mirror keeps open take what is left.
func TestCapacityIsKeptByPriority(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newShortWorld(t)
		w.pass()
		var must []understudy.Camera
		for _, home := range sorted(w.homes) {
			if rapid.Bool().Draw(t, "dies") {
				w.dead[home] = true
				must = append(must, w.homes[home]...)
				for range rapid.IntRange(1, 15).Draw(t, "seconds until the next") {
					w.pass()
				}
			}
		}
		for range yieldFor/time.Second + 2 {
			w.pass()
		}
		total, ways := w.carried()
		open := total.plus(w.mirrored())
		if !w.room.hold(open, false) {
			t.Fatalf("carried and mirrored is %+v, and there is room for %+v: %+v", open, w.room, ways)
		}
		w.checkMirrors(open)
		least := cost{}
		var short []understudy.CameraID
		for _, c := range must {
			all := w.state.ways(c)
			least = least.plus(all[len(all)-1].cost)
			if _, ok := ways[c.ID]; !ok {
				short = append(short, c.ID)
				w.checkLeftOut(c, ways)
			}
		}
		slices.Sort(short)
		if !slices.Equal(short, w.want.Short) {
			t.Fatalf("%v are not carried, and named are %v", short, w.want.Short)
		}
		if w.room.hold(least, false) && len(short) > 0 && w.room.hold(least, true) {
			t.Fatalf("there is room for all in some way (%+v of %+v), and %v are left out", least, w.room, short)
		}
		for camera := range ways {
			if !slices.ContainsFunc(must, func(c understudy.Camera) bool { return c.ID == camera }) {
				t.Fatalf("camera %s is carried, and its home is well", camera)
			}
		}
	})
}

// checkLeftOut: with all that matter less put away, and those that matter more
// carried in the way that costs least, there is no room for c either.
func (w *shortWorld) checkLeftOut(c understudy.Camera, ways map[understudy.CameraID]way) {
	all := w.state.ways(c)
	need := all[len(all)-1].cost
	for id := range maps.Keys(ways) {
		if o := w.state.known(id); o.Priority >= c.Priority {
			theirs := w.state.ways(o)
			need = need.plus(theirs[len(theirs)-1].cost)
		}
	}
	if w.room.hold(need, true) {
		w.t.Fatalf("camera %s is left out, and would find room (%+v of %+v) beside those that matter as much or more", c.ID, need, w.room)
	}
}

// checkMirrors: a camera that is to be mirrored, and well, is not only if there is no room.
func (w *shortWorld) checkMirrors(open cost) {
	for home, cameras := range w.homes {
		for _, c := range cameras {
			opened := slices.ContainsFunc(w.want.Mirror, func(a understudy.AssignedCamera) bool { return a.Camera.ID == c.ID })
			meant := !w.dead[home] && w.state.posts[c.ID].standby == understudy.StandbyMirror && c.Failover != understudy.SupportLive
			if opened && !meant {
				w.t.Fatalf("the stream of camera %s is kept open, and it is not to be mirrored now", c.ID)
			}
			if need := open.plus(w.state.wayOf(c, "", false).cost); meant && !opened && w.room.hold(need, true) {
				w.t.Fatalf("camera %s is not mirrored, and would find room (%+v of %+v)", c.ID, need, w.room)
			}
		}
	}
}

// The decision does not waver when bit rates do.
func TestCapacityDoesNotWaver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newShortWorld(t)
		w.pass()
		for home := range w.homes {
			w.dead[home] = true
		}
		for range yieldFor/time.Second + 4 {
			w.pass()
		}
		exact := maps.Clone(w.state.rates)
		changes, _ := 0, w.want
		_, before := w.carried()
		for range 40 {
			states := []understudy.CameraState{}
			for _, c := range sorted(exact) {
				part := int64(rapid.IntRange(98, 102).Draw(t, "percent"))
				states = append(states, understudy.CameraState{Camera: c, BitsPerSecond: exact[c] / 100 * part})
			}
			w.load(states)
			w.pass()
			if _, now := w.carried(); !sameWays(before, now) {
				changes++
				before = now
			}
		}
		// Each change may only reduce: there are no more of them than ways to go down.
		if most := 4 * len(exact); changes > most {
			t.Fatalf("%d changes in 40 s of bit rates that waver by 2 %%", changes)
		}
	})
}

func sameWays(a, b map[understudy.CameraID]way) bool {
	return maps.EqualFunc(a, b, func(x, y way) bool { return x.stream == y.stream && x.record == y.record })
}
