package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
)

// CameraGaps is what is missing of one camera.
type CameraGaps struct {
	Camera understudy.CameraID `json:"camera"`
	Gaps   []understudy.Gap    `json:"gaps"`
	// Missing names servers that did not answer: what only they hold looks like a gap.
	Missing []understudy.ServerID `json:"missing,omitempty"`
}

// timelinesAtOnce bounds how many cameras are asked for at a time.
const timelinesAtOnce = 4

// Gaps returns the gaps of cameras, all that may be seen if none is named, by
// camera: those of one incident, the takeover or failback to that epoch, or all
// if it is 0.
func (c *Client) Gaps(ctx context.Context, cameras []understudy.CameraID, from, to time.Time, epoch uint64) ([]CameraGaps, error) {
	if len(cameras) == 0 {
		site, err := c.current(ctx)
		if err != nil {
			return nil, err
		}
		for _, camera := range site.Cameras {
			cameras = append(cameras, camera.ID)
		}
	}
	var mu sync.Mutex
	var all []CameraGaps
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(timelinesAtOnce)
	for _, camera := range cameras {
		asking.Go(func() error {
			line, err := c.Timeline(ctx, camera, from, to)
			if err != nil {
				return err
			}
			gaps := slices.DeleteFunc(line.Gaps, func(g understudy.Gap) bool { return epoch != 0 && g.Epoch != epoch })
			mu.Lock()
			defer mu.Unlock()
			if len(gaps) > 0 || epoch == 0 {
				all = append(all, CameraGaps{camera, gaps, line.Missing})
			}
			return nil
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b CameraGaps) int { return slices.Index(cameras, a.Camera) - slices.Index(cameras, b.Camera) })
	return all, nil
}
