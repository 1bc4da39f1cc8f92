package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	us "understudy"
	"understudy/internal/management"
)

// capacity: whatever a failover server asks for, it serves no more cameras than
// it was said to, those of the highest priority, and hears why of the others.
func capacity(t *testing.T, s management.Store) {
	m := aSite(t, s)
	must[us.FailoverServer](t)(m.PutFailoverServer(background, us.FailoverServer{ID: "fo2", Addresses: addresses("fo2"), Capacity: us.Capacity{Cameras: 1}}))
	b := must[us.Camera](t)(m.Camera(background, "b"))
	b.Priority = 5
	must[us.Camera](t)(m.PutCamera(background, b, nil))

	both := []us.CameraEpoch{{Camera: "a", Epoch: 1}, {Camera: "b", Epoch: 1}}
	answer := must[us.ClaimAnswer](t)(m.Claim(background, takeover("capacity1", "fo2", "rec1", both...)))
	if granted, refused := namesOf(answer); granted != "b" || refused != "a" {
		t.Fatalf("granted %q and refused %q, want camera b alone", granted, refused)
	}
	if reason := answer.Refused[0].Reason; !strings.Contains(reason, "its capacity is 1") || answer.Refused[0].Lease.Holder != "rec1" {
		t.Errorf("refused with %+v", answer.Refused[0])
	}
	// What it serves already is no camera more; another home's is.
	answer = must[us.ClaimAnswer](t)(m.Claim(background, takeover("capacity2", "fo2", "rec1", us.CameraEpoch{Camera: "b", Epoch: 2})))
	if granted, _ := namesOf(answer); granted != "b" {
		t.Errorf("what it serves was not granted again: %+v", answer)
	}
	answer = must[us.ClaimAnswer](t)(m.Claim(background, takeover("capacity3", "fo2", "rec2", us.CameraEpoch{Camera: "d", Epoch: 1})))
	if granted, _ := namesOf(answer); granted != "" {
		t.Errorf("with capacity for one camera, another was granted: %+v", answer)
	}
	// The next in rank has room.
	answer = must[us.ClaimAnswer](t)(m.Claim(background, takeover("capacity4", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1})))
	if granted, _ := namesOf(answer); granted != "a" {
		t.Errorf("the next was not granted what the first has no room for: %+v", answer)
	}
	must[us.ClaimAnswer](t)(m.Claim(background, failback("capacity5", "rec1", us.CameraEpoch{Camera: "a", Epoch: 2}, us.CameraEpoch{Camera: "b", Epoch: 2})))
	racingForRoom(t, m)
	isFolded(t, m)
}

// racingForRoom lets one server claim all that it may stand in for, all at once.
func racingForRoom(t *testing.T, m *management.Management) {
	site := must[us.Site](t)(m.Site(background))
	var all sync.WaitGroup
	for n := range 16 {
		for _, camera := range []us.CameraID{"a", "b", "d"} {
			c, _ := site.Camera(camera)
			l, _ := site.Lease(camera)
			all.Go(func() {
				_, err := m.Claim(background, takeover(fmt.Sprintf("room-%s-%d", camera, n), "fo2", c.Home, us.CameraEpoch{Camera: camera, Epoch: l.Epoch}))
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	held := must[us.Site](t)(m.Site(background)).Holders()["fo2"]
	if len(held) != 1 {
		t.Errorf("racing for room for one camera, it serves %v", held)
	}
}
