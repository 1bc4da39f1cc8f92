package drill

import (
	"strings"
	"testing"

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
