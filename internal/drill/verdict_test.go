package drill

import (
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// A drill in which half of the cameras are lost passes only if these move, no
// other does, and no frame is lost of the others.
func TestOnlyWhatIsSickMayMove(t *testing.T) {
	ids := func(ids ...understudy.CameraID) []understudy.CameraID { return ids }
	for name, c := range map[string]struct {
		moved []understudy.CameraID
		lost  int // of those that stayed
		why   string
	}{
		"the sick ones moved":       {moved: ids("b", "a")},
		"one did not":               {moved: ids("a"), why: "sick ones are [a b]"},
		"a healthy one as well":     {moved: ids("a", "b", "c"), why: "[a b c] moved"},
		"a healthy one instead":     {moved: ids("a", "c"), why: "[a c] moved"},
		"a healthy one lost frames": {moved: ids("a", "b"), lost: 3, why: "3 frames"},
	} {
		r := Result{ExportedOK: true, LostStayed: c.lost}
		r.noteMoved(c.moved, ids("a", "b"), 4)
		r.judge(Options{Mode: Hot, Fault: site.FaultCameras, Cameras: 4, GOP: clipGOP})
		if r.Passed != (c.why == "") || !strings.Contains(r.Why, c.why) {
			t.Errorf("%s: passed %v, %s", name, r.Passed, r.Why)
		}
		if r.Moved != len(c.moved) || r.Stayed != 4-len(c.moved) {
			t.Errorf("%s: %d moved and %d stayed", name, r.Moved, r.Stayed)
		}
	}
}

// Without a management server clients are late when they are behind what is
// durable: the claim, which is granted when that server is back, excuses nothing.
func TestALateClaimExcusesNoClient(t *testing.T) {
	for name, c := range map[string]struct {
		alone  bool
		resume int64
		passed bool
	}{
		"told, soon":     {false, 9400, true},
		"told, late":     {false, 9600, false},
		"nobody told it": {true, 4000, true},
		"nor did it ask": {true, 4600, false},
	} {
		r := Result{ExportedOK: true, Decision: 1600, Claim: 9000, FirstDurable: Spread{Max: 3000}, ClientResume: Spread{Max: c.resume}}
		r.judge(Options{Mode: Hot, Fault: site.FaultHang, Cameras: 4, GOP: clipGOP, NoManagement: c.alone})
		if r.Passed != c.passed || !c.passed && !strings.Contains(r.Why, "a client saw") {
			t.Errorf("%s: passed %v, %s", name, r.Passed, r.Why)
		}
	}
}

// A decision about a server that fell silent has 2.5 s, in cold standby one more.
func TestASilentDeathIsDecidedInTime(t *testing.T) {
	for _, c := range []struct {
		mode   Mode
		took   int64
		passed bool
	}{{Hot, 2500, true}, {Hot, 2501, false}, {Mirror, 2501, false}, {Cold, 3500, true}, {Cold, 3501, false}} {
		r := Result{ExportedOK: true, Decision: c.took}
		r.judge(Options{Mode: c.mode, Fault: site.FaultHang, Cameras: 4, GOP: clipGOP})
		if r.Passed != c.passed {
			t.Errorf("%s after %d ms: passed %v, %s", c.mode, c.took, r.Passed, r.Why)
		}
	}
}

// What the standby tells counts where it is earlier than what was looked for.
func TestTheEarliestWordCounts(t *testing.T) {
	looked := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	durable := func(server understudy.ServerID, camera understudy.CameraID, before time.Duration) understudy.Event {
		return understudy.Event{Changes: []understudy.Change{{Milestone: &understudy.Milestone{Kind: understudy.MilestoneDurable, Server: server, Camera: camera, At: looked.Add(-before)}}}}
	}
	told := []understudy.Event{durable(standby, "a", time.Second), durable(standby, "a", 2*time.Second), durable(home, "b", time.Second), durable(standby, "c", -time.Second)}
	for camera, want := range map[understudy.CameraID]time.Duration{"a": 2 * time.Second, "b": 0, "c": 0} {
		if got := earliest(understudy.MilestoneDurable, camera, looked, told); looked.Sub(got) != want {
			t.Errorf("camera %s: %s before it was looked for, expected %s", camera, looked.Sub(got), want)
		}
	}
	if got := earliest(understudy.MilestoneDecided, "", looked, told); !got.Equal(looked) {
		t.Errorf("nobody told of a decision, and it is %s", got)
	}
}
