package faults_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// told waits until the one incident of rec1 is over, and holds what it says is
// missing of its cameras against the frames that are.
func (b *broken) told(limit time.Duration, cameras ...understudy.CameraID) understudy.Incident {
	b.Helper()
	var all []understudy.Incident
	b.within(limit, "the incident to be over", func(ctx context.Context) bool {
		all, _ = b.Client.Incidents(ctx, 0)
		return len(all) > 0 && all[0].Phase == understudy.IncidentOver
	})
	i, err := b.Client.Incident(b.Context(), all[0].ID)
	if err != nil {
		b.Fatal(err)
	}
	var ids []understudy.CameraID
	for _, c := range i.Cameras {
		ids = append(ids, c.Camera)
	}
	if len(all) != 1 || i.Home != "rec1" || i.Planned || !slices.Equal(ids, cameras) {
		b.Fatalf("want one incident of rec1 with the cameras %v, found %d, of %s with %v, planned: %t", cameras, len(all), i.Home, ids, i.Planned)
	}
	for _, c := range i.Cameras {
		var missing time.Duration
		for _, h := range b.account(c.Camera) {
			missing += h.before.Sub(h.after) * time.Duration(h.frames) / time.Duration(h.frames+1)
		}
		if c.Account == nil || len(c.Account.Missing) > 0 {
			b.Fatalf("camera %s was not counted: %+v", c.Camera, c.Account)
		}
		if said := time.Duration(c.Account.Milliseconds) * time.Millisecond; (said - missing).Abs() > 100*time.Millisecond {
			b.Errorf("the incident says that %s of %s are missing (%s), and the frames say %s", said, c.Camera, c.Account.Sentence, missing)
		}
	}
	return i
}

// tenures writes who held a camera, in order.
func tenures(c understudy.IncidentCamera) (servers []understudy.ServerID) {
	for _, t := range c.Tenures {
		servers = append(servers, t.Server)
	}
	return servers
}

// A recording server that loses one of its two cameras is stood in for with that
// one only, and the incident is of that one only.
func TestAPartialTakeoverIsTold(t *testing.T) {
	b := up(t, hot("north", "south"), nil)
	b.do(site.FaultCameras, "rec1")
	b.holds(30*time.Second, "fo1", 1)
	now, err := b.Client.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := now.Holders()["fo1"][0]
	b.recordsNow(6*time.Second, "fo1", lost)
	b.do(site.CureCameras, "rec1")
	b.holds(40*time.Second, "rec1", 2)
	b.emptied(30*time.Second, "fo1")
	c := b.told(30*time.Second, lost).Cameras[0]
	if !slices.Equal(tenures(c), []understudy.ServerID{"fo1"}) || c.Tenures[0].Durable.IsZero() || c.Tenures[0].Until.IsZero() || c.Tenures[0].Provisional {
		t.Errorf("it tells of %+v", c.Tenures)
	}
	if t.Failed() {
		t.Log(b.story())
	}
}
