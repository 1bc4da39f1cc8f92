package sim

import (
	"fmt"

	"understudy"
)

// viewer is a client that watches every camera: it follows the service channel,
// and never goes back to an older epoch.
type viewer struct {
	machine
	leases []understudy.Lease // by the camera's index
}

func newViewer(s *story, n int) *viewer {
	v := &viewer{machine: machine{s: s, id: understudy.ServerID(fmt.Sprint("client-", n+1)), place: len(s.net.cut) - 1}}
	v.leases = make([]understudy.Lease, len(s.cameras))
	v.begin, v.finish = func() { s.authority.subscribe(&v.machine, v.told) }, func() {}
	v.start()
	return v
}

func (v *viewer) told(site *understudy.Site, _ []understudy.ServerStatus) {
	if site == nil {
		return
	}
	for _, l := range site.Leases {
		if old := &v.leases[v.s.camera(l.Camera).index]; l.Epoch >= old.Epoch {
			*old = *l
		}
	}
}
