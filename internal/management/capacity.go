package management

import (
	"cmp"
	"fmt"
	"slices"

	"understudy"
)

// byPriority puts those first that come first when capacity is short, and keeps the claim's order else.
func byPriority(site understudy.Site, cameras []understudy.CameraEpoch) []understudy.CameraEpoch {
	priority := func(c understudy.CameraEpoch) int {
		camera, _ := site.Camera(c.Camera)
		return camera.Priority
	}
	return slices.SortedStableFunc(slices.Values(cameras), func(a, b understudy.CameraEpoch) int {
		return cmp.Compare(priority(b), priority(a))
	})
}

// room is how many cameras more a claimant may serve. It is the last line of
// defence: a failover server counts by itself, and knows bit rates and disks as well.
type room struct {
	claimant       understudy.ServerID
	bounded        bool
	serves, bounds int
}

func roomFor(site understudy.Site, c understudy.Claim) room {
	server, ok := site.FailoverServer(c.Claimant)
	r := room{claimant: c.Claimant, bounded: ok && c.Kind == understudy.ClaimTakeover && server.Capacity.Cameras > 0, bounds: server.Capacity.Cameras}
	for n := 0; r.bounded && n < len(site.Leases); n++ {
		if site.Leases[n].Holder == c.Claimant {
			r.serves++
		}
	}
	return r
}

// take counts one camera more, or says why there is no room for it.
func (r *room) take(camera understudy.CameraID) (reason string) {
	if r.bounded && r.serves >= r.bounds {
		return fmt.Sprintf("%s serves %d cameras, and its capacity is %d: camera %s is left to another standby", r.claimant, r.serves, r.bounds, camera)
	}
	r.serves++
	return ""
}
