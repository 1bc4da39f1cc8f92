package incident

import (
	"strconv"
	"strings"

	"understudy"
)

// Settled reports whether all that was recorded in an incident is home, as far
// as the servers that stood in say so themselves: none of them records one of
// its cameras any more, or has footage to send. One that the site has no longer
// has nothing to send. Of one that does not answer nobody can say.
func Settled(i understudy.Incident, site understudy.Site, status []understudy.ServerStatus) bool {
	if i.Back.IsZero() {
		return false
	}
	seen := map[understudy.ServerID]understudy.ServerStatus{}
	for _, s := range status {
		seen[s.Server] = s
	}
	cameras := map[understudy.CameraID]bool{}
	for _, c := range i.Cameras {
		cameras[c.Camera] = true
	}
	for holder := range holders(i) {
		if _, there := site.Addresses(holder); !there {
			continue
		}
		s := seen[holder]
		if !s.Reachable || s.State == nil || s.State.At.Before(i.Back) {
			return false
		}
		for _, c := range s.State.Cameras {
			if lease, _ := site.Lease(c.Camera); cameras[c.Camera] && c.Recording && lease.Holder != holder {
				return false
			}
		}
		for _, t := range s.State.Transfers {
			if t.From == holder && t.To == i.Home { // also while it only waits to delete what is home
				return false
			}
		}
	}
	return true
}

func holders(i understudy.Incident) map[understudy.ServerID]bool {
	all := map[understudy.ServerID]bool{}
	for _, c := range i.Cameras {
		for _, t := range c.Tenures {
			all[t.Server] = true
		}
	}
	return all
}

// transfers are those of footage of an incident that is under way; where home
// does not tell, who sends it does.
func transfers(i understudy.Incident, status []understudy.ServerStatus) []understudy.Transfer {
	var under []understudy.Transfer
	stood := holders(i)
	for _, s := range status {
		if s.State == nil || !stood[s.Server] {
			continue
		}
		for _, t := range s.State.Transfers {
			if t.From == s.Server && t.To == i.Home {
				under = append(under, t)
			}
		}
	}
	return under
}

// parseID returns the number of the event that opened an incident.
func parseID(id string) (opened uint64, ok bool) {
	cut := strings.LastIndexByte(id, '-')
	if cut <= 0 || understudy.ValidateID("server", understudy.ServerID(id[:cut])) != nil {
		return 0, false
	}
	opened, err := strconv.ParseUint(id[cut+1:], 10, 64)
	return opened, err == nil
}
