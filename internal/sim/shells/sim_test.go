// Package shells plays a whole site on virtual time: the real failover servers,
// the real authority and the real merge protocol, over recording servers,
// cameras, disks and a network that are models. Faults come by a seed; first
// anything may break, then everything is mended and must converge. The oracle
// stands outside of what it judges. Tests only.
package shells

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// seedsMany is how many stories are played; UNDERSTUDY_SIM_SEEDS plays more,
// UNDERSTUDY_SIM_SEED plays one again.
const seedsMany = 20

func seeds(t *testing.T) (from, to uint64) {
	t.Helper()
	if text := os.Getenv("UNDERSTUDY_SIM_SEED"); text != "" {
		one, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return one, one + 1
	}
	to = seedsMany
	if text := os.Getenv("UNDERSTUDY_SIM_SEEDS"); text != "" {
		many, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		to = many
	}
	if testing.Short() {
		to = min(to, 5)
	}
	return 0, to
}

func TestSiteUnderFaults(t *testing.T) {
	from, to := seeds(t)
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { live(t, seed) })
		})
	}
}

// live plays one story.
func live(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	defer w.close()
	for _, id := range []understudy.ServerID{"rec-1", "rec-2", "fo-1", "fo-2"} {
		w.startProcess(id)
	}
	w.passJudged(12*time.Second + time.Duration(w.random.IntN(1000))*time.Millisecond)
	for range 6 + w.random.IntN(10) {
		w.fault()
		w.passJudged(time.Duration(w.random.IntN(150)*w.random.IntN(150)) * time.Millisecond)
	}
	w.mend()
	w.passJudged(3 * time.Second)
	from := w.sent()
	w.passJudged(90 * time.Second)
	w.judgeEnd(from)
}

func (w *world) close() {
	for _, id := range []understudy.ServerID{"fo-1", "fo-2", "rec-1", "rec-2"} {
		w.kill(id)
	}
	w.sessions.Wait()
}

func (w *world) passJudged(d time.Duration) {
	n := 0
	w.pass(d, func() {
		if n++; n%5 == 0 {
			w.watchAll()
		}
		w.judgeRecording()
	})
}

// fault breaks or mends one thing.
func (w *world) fault() {
	pick := func(of ...string) string { return of[w.random.IntN(len(of))] }
	home := understudy.ServerID(pick("rec-1", "rec-2"))
	standby := understudy.ServerID(pick("fo-1", "fo-2"))
	switch w.random.IntN(18) {
	case 0, 1, 2:
		w.kill(home)
	case 3, 4:
		w.startProcess(home)
	case 5:
		w.kill(home)
		w.startProcess(home)
	case 6:
		w.hang(home, true)
	case 7:
		w.hang(home, false)
	case 8:
		w.leave(home)
	case 9:
		w.kill(standby)
	case 10:
		w.startProcess(standby)
	case 11, 12:
		w.setCut(string(pick("fo-1", "fo-2", string(home))), pick("management", "rec-1", "rec-2"), w.random.IntN(2) == 0)
	case 13:
		camera := pick("a", "b", "c", "d")
		if w.random.IntN(2) == 0 {
			w.setCamera(understudy.CameraID(camera), w.random.IntN(2) == 0)
		} else {
			w.setCut(pick("fo-1", "fo-2", "rec-1", "rec-2"), "camera "+camera, w.random.IntN(3) > 0)
		}
	case 14:
		w.setManagement(w.random.IntN(2) == 0)
	case 15:
		w.say("the disk of %s changes", home)
		w.nodes[home].disk.setUnwritable(w.random.IntN(2) == 0)
	case 16, 17: // the standby's own cable is pulled, or put back
		cut := w.random.IntN(2) == 0
		for _, other := range []string{"management", "rec-1", "rec-2", "fo-1", "fo-2"} {
			if other != string(standby) {
				w.setCut(string(standby), other, cut)
			}
		}
	}
}

// mend ends every fault.
func (w *world) mend() {
	w.say("everything is mended")
	w.mu.Lock()
	var cut []string
	for ends, is := range w.cuts {
		if is {
			cut = append(cut, ends)
		}
	}
	for _, ends := range cut {
		w.cuts[ends] = false
		w.since[ends] = time.Now()
	}
	var leaving []understudy.ServerID
	for id, n := range w.nodes {
		n.disk.setUnwritable(false)
		if n.leaving {
			leaving = append(leaving, id)
		}
	}
	w.mu.Unlock()
	for _, id := range leaving { // a stop that was asked for is not taken back
		w.kill(id)
	}
	w.setManagement(true)
	for _, id := range cameraIDs() {
		w.setCamera(id, true)
	}
	for _, id := range []understudy.ServerID{"rec-1", "rec-2", "fo-1", "fo-2"} {
		w.hang(id, false)
		w.startProcess(id)
	}
}

// recordBound is what a reachable camera may be without a recording: the
// slowest way goes over a standby that starts, hears nobody (10 s), is second in
// rank and waits (2 s), claims, connects and waits for a key frame.
const recordBound = 20 * time.Second

// judgeRecording: a camera that somebody can record is recorded, within the
// bound, and nobody stops recording before somebody else records.
func (w *world) judgeRecording() {
	w.mu.Lock()
	now, failed := time.Now(), w.wrong
	for _, id := range cameraIDs() {
		c := w.cameras[id]
		situation := w.situation(id, c)
		if situation == "" {
			c.situation = ""
			continue
		}
		if c.situation != situation {
			c.situation, c.owed = situation, now
		}
		if now.Sub(c.owed) > recordBound && now.Sub(c.last) > 3*time.Second {
			failed = fmt.Sprintf("camera %s could be recorded for %s, and nobody has for %s", id, now.Sub(c.owed), now.Sub(c.last))
		}
	}
	w.mu.Unlock()
	if failed != "" {
		w.fail("%s", failed)
	}
}

// situation says who could record a camera; empty when nobody need. Home could,
// or home is gone and the standbys that run reach all that they need: the
// camera and the management server. w.mu is held.
func (w *world) situation(id understudy.CameraID, c *camera) string {
	reaches := func(n *node) bool { return w.records(n, id) }
	home := w.nodes[c.home]
	if reaches(home) {
		return "home"
	}
	if home.alive() {
		return "" // a sick server is a matter of what can be proven about it
	}
	situation := ""
	for _, standby := range []understudy.ServerID{"fo-1", "fo-2"} {
		n := w.nodes[standby]
		if n.up && (!reaches(n) || !w.answers || w.cut(string(standby), "management")) {
			return ""
		}
		if n.up {
			situation += string(standby)
		}
	}
	return situation
}

// seenFor is for how long a server must have been healthy, and reached, for a takeover to be wrong.
const seenFor = 6 * time.Second

// judgeTakeover: nobody takes over from a healthy server that it, or the
// management server, has just seen at work.
func (w *world) judgeTakeover(before understudy.Site, c understudy.Claim, answer understudy.ClaimAnswer) {
	moved := false
	for _, l := range answer.Granted {
		old, _ := before.Lease(l.Camera)
		moved = moved || old.Epoch != l.Epoch && old.Holder == c.Home
	}
	if !moved {
		return
	}
	w.say("%s is granted %v of %s: %s", c.Claimant, c.Cameras, c.Home, c.Sentence)
	w.mu.Lock()
	home, claimant := w.nodes[c.Home], w.nodes[c.Claimant]
	now := time.Now()
	whole := func(a, b string) bool { return !w.cut(a, b) && now.Sub(w.since[pair(a, b)]) > seenFor }
	healthy := home.alive() && !home.leaving && now.Sub(home.since) > seenFor && home.disk.State().Writable
	for id, s := range home.recording {
		healthy = healthy && !s.steady.IsZero() && now.Sub(s.steady) > seenFor && w.cameras[id].on
	}
	direct := whole(string(c.Claimant), string(c.Home))
	witness := w.answers && now.Sub(w.since["management"]) > seenFor && whole(string(c.Claimant), "management") && whole(string(c.Home), "management")
	wrong := healthy && now.Sub(claimant.since) > seenFor && (direct || witness)
	w.mu.Unlock()
	if wrong {
		w.fail("%s took over from %s, which was healthy and seen (directly: %v, by the management server: %v): %s",
			c.Claimant, c.Home, direct, witness, c.Sentence)
	}
}

func (w *world) sent() map[understudy.CameraID]uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := map[understudy.CameraID]uint64{}
	for id, c := range w.cameras {
		sent[id] = c.n
	}
	return sent
}

// judgeEnd: after the last fault every camera is at home, nobody else records
// it, no frame was lost on the way back, and all that was ever recorded is at
// home and nowhere else.
func (w *world) judgeEnd(mended map[understudy.CameraID]uint64) {
	w.judgeLeases()
	site, err := w.management.Site(context.Background())
	if err != nil {
		w.fail("%v", err)
	}
	for _, l := range site.Leases {
		if l.Holder != sites[l.Camera] {
			w.fail("%s still holds camera %s", l.Holder, l.Camera)
		}
	}
	for _, standby := range []understudy.ServerID{"fo-1", "fo-2"} {
		n := w.nodes[standby]
		w.mu.Lock()
		recording := len(n.recording)
		w.mu.Unlock()
		if foreign := n.disk.Foreign(); recording > 0 || len(foreign) > 0 {
			w.fail("%s still records %d cameras and keeps %d segments", standby, recording, len(foreign))
		}
	}
	for _, id := range cameraIDs() {
		c, at := w.cameras[id], map[uint64]bool{}
		w.nodes[c.home].disk.frames(id, at)
		for n := range c.ever {
			if !at[n] {
				w.fail("frame %d of camera %s was recorded and is lost", n, id)
			}
		}
		for n := mended[id]; n < c.n; n++ {
			if !at[n] {
				w.fail("frame %d of camera %s was not recorded by anybody, %d frames after everything was mended", n, id, n-mended[id])
			}
		}
	}
}

// judgeLeases: the epochs of a camera only grow, and each has one holder.
func (w *world) judgeLeases() {
	var all []understudy.Event
	for {
		q := understudy.EventQuery{Limit: 1000}
		if len(all) > 0 {
			q.After = all[len(all)-1].Seq
		}
		some, err := w.management.Events(context.Background(), q)
		if err != nil {
			w.fail("%v", err)
		}
		all = append(all, some...)
		if len(some) < q.Limit {
			break
		}
	}
	last := map[understudy.CameraID]understudy.Lease{}
	for _, e := range all {
		for _, c := range e.Changes {
			if c.Lease == nil {
				continue
			}
			old := last[c.Lease.Camera]
			if c.Lease.Epoch < old.Epoch || c.Lease.Epoch == old.Epoch && c.Lease.Holder != old.Holder {
				w.fail("camera %s: %s under epoch %d comes after %s under epoch %d", c.Lease.Camera, c.Lease.Holder, c.Lease.Epoch, old.Holder, old.Epoch)
			}
			last[c.Lease.Camera] = *c.Lease
		}
	}
}
