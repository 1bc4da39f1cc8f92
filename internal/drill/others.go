package drill

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"understudy"
	"understudy/internal/site"
)

// neighbour is the recording server for which the failover server stands in
// already when the fault comes.
const neighbour = understudy.ServerID("rec2")

// addOthers adds the neighbour and its cameras to a layout. A test camera is
// named by its number, as its stamps are.
func (o *Options) addOthers(layout *site.Layout) {
	if o.Others == 0 {
		return
	}
	layout.Recording = append(layout.Recording, understudy.RecordingServer{ID: neighbour, Name: "Neighbour", HotStandby: standby})
	for i := range o.Others {
		layout.Cameras = append(layout.Cameras, understudy.Camera{ID: understudy.CameraID(fmt.Sprintf("cam%d", o.Cameras+i+1)), Home: neighbour})
	}
}

// own and others are the cameras of home, and those of the neighbour.
func (r *rehearsal) own() []understudy.Camera    { return r.camerasOf(home) }
func (r *rehearsal) others() []understudy.Camera { return r.camerasOf(neighbour) }

func (r *rehearsal) camerasOf(server understudy.ServerID) (cameras []understudy.Camera) {
	for _, c := range r.site.Layout.Cameras {
		if c.Home == server {
			cameras = append(cameras, c)
		}
	}
	return cameras
}

// loseNeighbour kills the neighbour, and waits until the failover
// server records its cameras.
func (r *rehearsal) loseNeighbour(ctx context.Context) error {
	err := wait(ctx, patience, "every camera of "+string(neighbour)+" to be recorded", func(ctx context.Context) bool {
		return r.allOthersOn(ctx, neighbour, 0)
	})
	if err != nil {
		return err
	}
	if err := r.site.Do(site.FaultKill, string(neighbour)); err != nil {
		return err
	}
	// What the kill cost shall lie before the range that is accounted for.
	before := 2*r.options.GOP + 3*time.Second
	return wait(ctx, patience, "every camera of "+string(neighbour)+" to be recorded by "+string(standby), func(ctx context.Context) bool {
		now, err := r.site.Client.Site(ctx)
		return err == nil && len(now.Holders()[standby]) == r.options.Others && r.allOthersOn(ctx, standby, before)
	})
}

// allOthersOn reports whether a server has more than so much of each of the neighbour's cameras.
func (r *rehearsal) allOthersOn(ctx context.Context, server understudy.ServerID, length time.Duration) bool {
	for _, c := range r.others() {
		if r.footage(ctx, server, c.ID) <= length {
			return false
		}
	}
	return true
}

// exportOthers counts what was lost of the cameras that nothing happened to. Their
// footage is still where it was made: the one machine of a drill would have to carry
// them three times over while it goes home.
func (r *rehearsal) exportOthers(ctx context.Context, dir string, result *Result) error {
	for _, camera := range r.others() {
		p, err := r.exportCamera(ctx, camera, filepath.Join(dir, string(camera.ID)+".mp4"))
		if err != nil {
			result.ExportedOK = false
			return fmt.Errorf("camera %s could not be exported: %w", camera.ID, err)
		}
		result.LostOthers += p.account.lost()
		result.Duplicates += p.account.Duplicates
	}
	return nil
}
