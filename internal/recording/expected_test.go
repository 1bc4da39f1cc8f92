package recording

import (
	"testing"

	"understudy"
)

// A camera is expected here while whoever holds it is in doubt, and waiting
// viewers hear of each change.
func TestCamerasAreExpectedOfADoubtedHolder(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	r := site.start(site.join("fo-1", understudy.RoleFailover), options{})
	shown := library{r.store, r.Server}
	var told <-chan struct{}
	expect := func(when string, soon, news bool) {
		t.Helper()
		if told != nil {
			select {
			case <-told:
				if !news {
					t.Errorf("%s: waiting viewers were woken", when)
				}
			default:
				if news {
					t.Errorf("%s: waiting viewers were not woken", when)
				}
			}
		}
		next, ok := shown.soon("lobby")
		if told = next; ok != soon {
			t.Errorf("%s: expected here: %v, should be %v", when, ok, soon)
		}
	}
	lease := func(holder understudy.ServerID, epoch uint64) {
		r.SetSite(understudy.Site{Seq: 1, Cameras: []understudy.Camera{a.Cameras[0].Camera}, Leases: understudy.Leases{{Camera: "lobby", Holder: holder, Epoch: epoch}}})
	}
	expect("nothing is known", false, false)
	lease("rec-1", 1)
	expect("home holds it", false, true)
	r.Expect([]understudy.ServerID{"rec-1"})
	expect("home is in doubt", true, true)
	r.Expect([]understudy.ServerID{"rec-1"})
	expect("it still is", true, false)
	r.Apply(withEpoch(a, 2))
	until(t, "it runs", func() bool { _, runs := r.find("lobby"); return runs })
	expect("it is taken over", true, true)
	lease("fo-2", 2)
	expect("another one was faster", false, true)
	lease("rec-1", 3)
	r.Expect(nil)
	expect("home is back", false, true)
}
