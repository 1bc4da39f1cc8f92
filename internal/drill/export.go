package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/testcam"
)

const (
	// tailTolerance is how much of the newest footage an export may lack: what was
	// not durable yet when it began.
	tailTolerance = 3 * time.Second
	// tailPatience is how long after its end a range may take to be durable up to
	// that: hundreds of cameras wait for one another on the disk of a machine that is short of everything.
	tailPatience = 20 * time.Second
)

// measure turns the noted moments into figures.
func (r *rehearsal) measure() Result {
	o := r.options
	result := Result{Mode: o.Mode, Fault: o.Fault, NoManagement: o.NoManagement, Managements: o.Managements, KilledOne: o.KillManagement, Cameras: len(r.own()), GOP: o.GOP.Seconds(), StandbyMemory: float64(r.memory) / (1 << 20)}
	if r.fault.IsZero() {
		return result
	}
	result.events = r.log.since(r.fault)
	if events, arrived := r.log.of(understudy.EventTakeover, r.fault); len(events) > 0 {
		result.Decision = earliest(understudy.MilestoneDecided, "", events[0].Decided, result.events).Sub(r.fault).Milliseconds()
		result.Claim = arrived[0].Sub(r.fault).Milliseconds()
	}
	var durable, resumed []time.Duration
	for _, w := range r.watchers {
		if looked, ok := r.durable[w.camera]; ok {
			durable = append(durable, earliest(understudy.MilestoneDurable, w.camera, looked, result.events).Sub(r.fault))
		}
		if at, ok := w.sawFrom(standby); ok {
			resumed = append(resumed, at.Sub(r.fault))
		}
	}
	result.FirstDurable, result.ClientResume = spread(durable), spread(resumed)
	result.MergedSegments = len(r.merged)
	for _, size := range r.merged {
		result.MergedBytes += size
	}
	if !r.emptied.IsZero() {
		result.MergeSeconds = r.emptied.Sub(r.failback).Seconds()
	}
	result.Cuts, result.Kills = r.cuts, r.kills
	if r.line != nil {
		result.LineBytes = r.line.bytes.Load()
	}
	return result
}

// earliest returns when the standby says that it came to something, of one
// camera or, for an empty one, of any; at where it does not say, or later. It
// decides before its claim when it records with nobody to ask, and what it has
// durable is looked for only once a client sees it.
func earliest(kind understudy.MilestoneKind, camera understudy.CameraID, at time.Time, told []understudy.Event) time.Time {
	for _, e := range told {
		for _, c := range e.Changes {
			if m := c.Milestone; m != nil && m.Kind == kind && m.Server == standby && (camera == "" || m.Camera == camera) && m.At.Before(at) {
				at = m.At
			}
		}
	}
	return at
}

// export takes every camera's whole range through the client and accounts for
// what is in it.
func (r *rehearsal) export(ctx context.Context, dir string, result *Result) error {
	left, err := r.left(ctx)
	if err != nil {
		return err
	}
	moved, err := r.moved(ctx)
	if err != nil {
		return err
	}
	sick := r.sick()
	result.noteMoved(moved, sick, len(r.own()))
	result.LeftSegments = len(left)
	result.ExportedOK = true
	var gaps []time.Duration
	for _, camera := range r.own() {
		p, err := r.exportCamera(ctx, camera, filepath.Join(dir, string(camera.ID)+".mp4"))
		if err != nil {
			result.ExportedOK = false
			return fmt.Errorf("camera %s could not be exported: %w", camera.ID, err)
		}
		a := p.account
		if slices.Contains(sick, camera.ID) {
			gaps = append(gaps, r.accountSick(a, result))
		} else {
			result.LostStayed += a.lost()
		}
		result.Duplicates += a.Duplicates
		if a.Foreign > 0 || a.Frames == 0 {
			result.ExportedOK = false
		}
		result.pictures = append(result.pictures, p)
	}
	result.GapTakeover = spread(gaps)
	if err := r.exportOthers(ctx, dir, result); err != nil {
		return err
	}
	return r.compareExports(ctx, dir)
}

// accountSick adds what a camera lost that the fault befell, and returns its longest gap.
func (r *rehearsal) accountSick(a account, result *Result) time.Duration {
	lost, gap := a.lostBetween(time.Time{}, r.cured)
	result.LostTakeover += lost
	lostLater, _ := a.lostBetween(r.cured, time.Now().Add(time.Hour))
	inKills := r.lostInKills(a)
	result.LostKills += inKills
	result.LostFailback += lostLater - inKills
	return gap
}

// exportRange takes a camera's footage of a range and returns its frames.
func (r *rehearsal) exportRange(ctx context.Context, camera understudy.CameraID, from, to time.Time, path string) ([]frame, []understudy.Piece, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, nil, understudy.Errorf(understudy.CodeUnavailable, "the export could not be written: %w", err)
	}
	defer file.Close()
	exported, err := r.site.Client.Export(ctx, camera, from, to, file, nil)
	if err != nil {
		return nil, nil, err
	}
	missing := slices.DeleteFunc(exported.Missing, func(id understudy.ServerID) bool { return id == neighbour }) // it is dead, and has nothing of the range
	if len(missing) > 0 || len(exported.Skipped) > 0 {
		return nil, nil, understudy.Errorf(understudy.CodeUnavailable, "servers %v did not answer, and %d pieces could not be fetched", missing, len(exported.Skipped))
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, understudy.Errorf(understudy.CodeUnavailable, "the export could not be read again: %w", err)
	}
	frames, err := readFrames(file, camera)
	return frames, exported.Pieces, err
}

func (r *rehearsal) exportCamera(ctx context.Context, camera understudy.Camera, path string) (picture, error) {
	to := time.Now()
	p := picture{camera: camera.ID, from: r.from, to: to, fault: r.fault, home: home}
	var frames []frame
	for {
		var err error
		if frames, p.pieces, err = r.exportRange(ctx, camera.ID, r.from, to, path); err != nil {
			return p, err
		}
		if len(frames) > 0 && to.Sub(frames[len(frames)-1].At) <= r.options.GOP+tailTolerance {
			break
		}
		if time.Since(to) > tailPatience {
			return p, understudy.Errorf(understudy.CodeInternal, "the export of %d frames does not reach the end of its range", len(frames))
		}
		if err := pause(ctx, time.Second); err != nil {
			return p, err
		}
	}
	if t, ok := r.truths[camera.ID]; ok {
		p.account = accountHashed(t.seen(), frames)
	} else {
		p.account = accountStamped(frames)
	}
	return p, nil
}

// readFrames reads the video samples of an exported file; a test camera is
// named in its stamps as it is in a drill.
func readFrames(file io.Reader, camera understudy.CameraID) ([]frame, error) {
	reader := fmp4.NewReader(file)
	if _, _, err := reader.Header(); err != nil {
		return nil, err
	}
	var frames []frame
	for {
		fragment, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return nil, err
		}
		for _, s := range fragment.Samples {
			if s.Track != understudy.VideoTrack {
				continue
			}
			stamp, ok := testcam.ParseStamp(s.Payload)
			frames = append(frames, frame{At: s.At, Hash: s.Hash, Number: stamp.Frame, Key: s.Key, Stamped: ok && stamp.Camera == string(camera)})
		}
	}
}
