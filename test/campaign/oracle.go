package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"understudy"
	"understudy/internal/drill"
)

// promise is what a fault may cost by what the product promises.
type promise int

const (
	// takeover: from the durable watermark to the first key frame of the one who
	// stands in, or of the one that came back before anybody did; a mirror loses nothing.
	takeover promise = iota
	// outage: nobody was there who could have had it, or the camera sent nothing.
	outage
)

// window is when frames of a camera may be lost, and why.
type window struct {
	camera understudy.CameraID
	struck time.Time
	from   time.Time     // the end of what was durable at the holder when the fault came
	to     time.Time     // when somebody was seen to record again; zero while nobody was
	limit  time.Duration // longer is not explained by the cause
	cause  string
}

func (w *window) close(at time.Time) {
	if w.to.IsZero() {
		w.to = at
	}
}

// frameLength is how long a frame of the cameras lasts, and how far two clocks of one machine may differ.
const frameLength = 60 * time.Millisecond

// explains reports whether a hole is what the cause of the window may cost:
// nothing that was durable, no longer than the limit, and over with a key frame.
func (w window) explains(camera understudy.CameraID, l hole) bool {
	return camera == w.camera && l.Before.Sub(l.After) <= w.limit && l.key &&
		!l.After.Before(w.from.Add(-frameLength)) && !l.Before.After(w.to.Add(frameLength))
}

// hole is frames that a camera made and nobody has.
type hole struct {
	drill.Loss
	key bool // the frame after it is a key frame
}

// measure notes what can be said of every run, also of one that hangs.
func (r *run) measure(ctx context.Context, o *outcome) {
	if r.site == nil || r.played.IsZero() {
		return
	}
	struck := r.struck
	if struck.IsZero() {
		struck = r.played
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	events, err := r.site.Client.Events(ctx, understudy.EventQuery{Limit: 500})
	if err != nil {
		r.say("the events could not be had: %v", err)
	}
	for _, e := range events {
		r.say("event %s %s %s", e.At.UTC().Format("15:04:05.000"), e.Kind, e.Sentence)
		if e.Kind == understudy.EventTakeover && !o.Decided && e.Decided.After(struck) {
			o.Decided, o.Decision = true, e.Decided.Sub(struck).Milliseconds()
			if r.kind.never {
				o.Why = "nobody was to be stood in for: " + e.Sentence
			}
		}
	}
	if o.Left, err = r.left(ctx); err != nil {
		r.say("what is left could not be counted: %v", err)
	}
}

// judge accounts for every frame of every camera.
func (r *run) judge(ctx context.Context, o *outcome) {
	var faults []string
	if o.Why != "" {
		faults = append(faults, o.Why)
	}
	if o.Left > 0 {
		faults = append(faults, fmt.Sprintf("%d segments are left on the failover servers", o.Left))
	}
	for _, c := range r.site.Layout.Cameras {
		frames, err := r.export(ctx, c.ID)
		if err != nil {
			faults = append(faults, fmt.Sprintf("camera %s could not be exported: %v", c.ID, err))
			continue
		}
		holes, doubled, foreign := account(frames, r.reborn[c.ID])
		o.Frames += len(frames)
		o.Doubled += doubled
		if doubled > 0 || foreign > 0 {
			faults = append(faults, fmt.Sprintf("%d frames of camera %s stand twice, and %d are not of it", doubled, c.ID, foreign))
		}
		for _, l := range holes {
			o.Lost += l.Frames
			o.Gap = max(o.Gap, l.Before.Sub(l.After).Milliseconds())
			said, ok := r.explain(c.ID, l)
			r.say("%s", said)
			o.Causes = append(o.Causes, said)
			if !ok {
				faults = append(faults, said)
			}
		}
	}
	o.Passed, o.Why = len(faults) == 0, strings.Join(faults, "; ")
	if o.Passed {
		o.Why = fmt.Sprintf("%d frames lost, each explained; none twice, none left behind", o.Lost)
	}
}

// explain says in a sentence why frames are lost; not ok if nothing explains it.
func (r *run) explain(camera understudy.CameraID, l hole) (string, bool) {
	lost := fmt.Sprintf("%d frames of camera %s are lost, from %s to %s", l.Frames, camera, clock(l.After), clock(l.Before))
	for _, w := range r.windows {
		if w.explains(camera, l) {
			return lost + ": " + w.cause, true
		}
	}
	why := ", and no fault explains it"
	for _, w := range r.windows {
		if w.camera == camera {
			why += fmt.Sprintf("; not %q (struck %s, durable until %s, over at %s, at most %s, and then a key frame; found %v)", w.cause, clock(w.struck), clock(w.from), clock(w.to), w.limit, l.key)
		}
	}
	return lost + why, false
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// export takes all that the site has of a camera.
func (r *run) export(ctx context.Context, camera understudy.CameraID) ([]drill.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	file, err := os.Create(filepath.Join(r.Dir, string(camera)+".mp4"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	to := time.Now()
	exported, err := r.site.Client.Export(ctx, camera, r.from, to, file, nil)
	if err != nil {
		return nil, err
	}
	if len(exported.Missing) > 0 || len(exported.Skipped) > 0 {
		return nil, fmt.Errorf("servers %v did not answer, and %d pieces could not be fetched", exported.Missing, len(exported.Skipped))
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	frames, err := drill.ReadFrames(file, camera)
	if err != nil {
		return nil, err
	}
	if len(frames) == 0 || to.Sub(frames[len(frames)-1].At) > gop+3*time.Second {
		return nil, fmt.Errorf("the export of %d frames does not reach the end of its range", len(frames))
	}
	return frames, nil
}

// account counts each life of a camera by itself, since its counter begins
// anew: what it made before anybody had a frame of it is lost, too.
func account(frames []drill.Frame, reborn []time.Time) (holes []hole, doubled, foreign int) {
	for life := 0; life <= len(reborn); life++ {
		end := len(frames)
		if life < len(reborn) {
			for end = 0; end < len(frames) && frames[end].At.Before(reborn[life]); end++ {
			}
		}
		of := frames[:end]
		frames = frames[end:]
		a := drill.AccountStamped(of)
		doubled, foreign = doubled+a.Duplicates, foreign+a.Foreign
		if life > 0 && len(of) > 0 && of[0].Number > 0 {
			holes = append(holes, hole{drill.Loss{After: reborn[life-1], Before: of[0].At, Frames: int(of[0].Number)}, of[0].Key})
		}
		for _, l := range a.Losses {
			holes = append(holes, hole{l, keyAt(of, l.Before)})
		}
	}
	return holes, doubled, foreign
}

func keyAt(frames []drill.Frame, at time.Time) bool {
	for _, f := range frames {
		if f.At.Equal(at) {
			return f.Key
		}
	}
	return false
}
