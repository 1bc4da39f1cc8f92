// Package drill rehearses the failure of a recording server with real processes
// and measures what it cost: it brings up a site, makes the fault, waits for
// takeover, failback and merge, exports every camera's whole range through the
// client, and accounts for each frame.
package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"understudy"
	"understudy/internal/site"
)

// Mode is the standby that is rehearsed.
type Mode string

// The modes.
const (
	Hot    Mode = "hot"
	Cold   Mode = "cold"
	Mirror Mode = "mirror"
)

// Options say what is rehearsed.
type Options struct {
	Mode    Mode
	Fault   site.Fault // kill, stop, hang, disk or cameras
	Cameras int        // test cameras; not used when Real is given
	Real    []string   // NAME=rtsp://HOST/PATH of cameras that this project did not write
	GOP     time.Duration
	// KeyOnPlay: the test cameras send a key frame as soon as a session begins to play.
	KeyOnPlay bool
	// Others is how many cameras of another recording server the failover server
	// holds already, and must not lose a frame of.
	Others int
	// CutMerge cuts the connection over which footage goes home, and kills both
	// ends of it, several times.
	CutMerge bool
	// NoManagement kills the management server just before the fault.
	NoManagement bool
	// Managements is how many management servers there are, on one Store (a DSN). KillManagement
	// kills the one that everybody asks first just before the fault; it is back with the recording server.
	Managements    int
	Store          string
	KillManagement bool
	Keep           string       // folder to keep stores, logs and exports in; empty keeps nothing
	Binary         string       // the understudy program; empty is this one
	Say            func(string) // progress, a sentence each
}

var faults = []site.Fault{site.FaultKill, site.FaultStop, site.FaultHang, site.FaultDisk, site.FaultCameras}

// The servers of a drill.
const (
	home    = understudy.ServerID("rec1")
	standby = understudy.ServerID("fo1")
)

// Bounds of what is waited for. A drill that hangs tells less than one that fails.
const (
	patience  = 60 * time.Second
	mergeTime = 120 * time.Second
	holdDown  = 3 * time.Second
	grace     = 500 * time.Millisecond // a drill has no time for more
)

// rehearsal is one drill under way.
type rehearsal struct {
	options  Options
	site     *site.Site
	watchers []*watcher
	truths   map[understudy.CameraID]*truth
	log      *eventLog

	from, fault, cured, failback, emptied time.Time
	memory                                int64                                    // bytes that the standby had resident just before the fault
	before                                map[understudy.CameraID]understudy.Lease // at the fault
	durable                               map[understudy.CameraID]time.Time
	merged                                map[understudy.SegmentID]int64

	line        *relay // that is cut; nil unless it is
	toMerge     int64
	cuts, kills int
	killed      []kill
	exports     string // folder
	during      map[understudy.CameraID][]frame
}

// Run rehearses and measures. An error means that the drill itself could not
// be done; a failure that was not mastered is a Result that has not passed.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.validate(); err != nil {
		return Result{}, err
	}
	dir := o.Keep
	if dir == "" {
		temporary, err := os.MkdirTemp("", "understudy-drill-")
		if err != nil {
			return Result{}, understudy.Errorf(understudy.CodeUnavailable, "there is no room for the drill: %w", err)
		}
		defer func() { _ = os.RemoveAll(temporary) }() // the system clears temporary folders
		dir = temporary
	}
	layout, err := o.layout()
	if err != nil {
		return Result{}, err
	}
	network, release, err := site.TakeNetwork(ctx) // drills and a demo run side by side
	if err != nil {
		return Result{}, err
	}
	defer release()
	up, err := site.Up(ctx, site.Options{
		Dir: dir, Binary: o.Binary, Layout: layout, Network: network, Ports: [2]int{8080, 8443},
		GOP: o.testGOP(), KeyOnPlay: o.KeyOnPlay, HoldDown: holdDown, Say: o.Say, Managements: o.Managements, Store: o.Store,
	})
	if err != nil {
		return Result{}, err
	}
	defer up.Down()
	r := &rehearsal{
		options: o, site: up, truths: map[understudy.CameraID]*truth{},
		durable: map[understudy.CameraID]time.Time{}, merged: map[understudy.SegmentID]int64{},
	}
	r.exports = filepath.Join(dir, "exports")
	if err := os.MkdirAll(r.exports, 0o700); err != nil {
		return Result{}, understudy.Errorf(understudy.CodeUnavailable, "the folder for exports could not be made: %w", err)
	}
	return r.run(ctx)
}

func (o *Options) validate() error {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	switch {
	case o.Mode != Hot && o.Mode != Cold && o.Mode != Mirror:
		return understudy.Errorf(understudy.CodeInvalid, "the mode of a drill is mirror, hot or cold, found %q", o.Mode)
	case !slices.Contains(faults, o.Fault):
		return understudy.Errorf(understudy.CodeInvalid, "the fault of a drill is one of %q, found %q", faults, o.Fault)
	case o.Fault == site.FaultCameras && (o.Mode == Cold || len(o.Real) > 0 || o.Cameras < 2):
		return understudy.Errorf(understudy.CodeInvalid, "the loss of half of the cameras is rehearsed with two test cameras at least, and not in cold standby, which knows no camera's password")
	case o.CutMerge && (o.Fault == site.FaultDisk || o.Fault == site.FaultCameras):
		return understudy.Errorf(understudy.CodeInvalid, "the merge is cut after a kill, a stop or a hang, found %q", o.Fault)
	case len(o.Real) == 0 && (o.Cameras < 1 || o.Cameras > 500):
		return understudy.Errorf(understudy.CodeInvalid, "a drill takes 1 to 500 test cameras, found %d", o.Cameras)
	case o.Others < 0 || o.Others > 500 || o.Others > 0 && (len(o.Real) > 0 || o.CutMerge):
		return understudy.Errorf(understudy.CodeInvalid, "a drill takes up to 500 test cameras of another server, and none beside real cameras or cuts; found %d", o.Others)
	case o.Managements > 1 && o.Store == "", o.KillManagement && o.Managements < 2, o.KillManagement && o.NoManagement:
		return understudy.Errorf(understudy.CodeInvalid, "several management servers need a store that all reach, and one of several is killed or the only one; found %d", o.Managements)
	case o.NoManagement && o.CutMerge:
		return understudy.Errorf(understudy.CodeInvalid, "a drill goes without the management server or cuts the merge, not both")
	case o.GOP < 200*time.Millisecond || o.GOP > 20*time.Second:
		return understudy.Errorf(understudy.CodeInvalid, "a GOP lasts 0.2 to 20 s, found %s", o.GOP)
	}
	if o.Keep != "" {
		if left, err := os.ReadDir(o.Keep); err == nil && len(left) > 0 {
			return understudy.Errorf(understudy.CodeInvalid, "%s is not empty; a drill keeps its stores in a folder of its own", o.Keep)
		}
		keep, err := filepath.Abs(o.Keep)
		if err != nil {
			return understudy.Errorf(understudy.CodeInvalid, "the folder to keep could not be found: %w", err)
		}
		o.Keep = keep
	}
	return nil
}

// clipGOP is the GOP of the embedded clip, which is played as it is.
const clipGOP = 2 * time.Second

func (o *Options) testGOP() time.Duration {
	if o.GOP == clipGOP {
		return 0
	}
	return o.GOP
}

func (o *Options) layout() (site.Layout, error) {
	layout := site.Layout{
		Recording: []understudy.RecordingServer{{ID: home, Name: "Home", Merge: understudy.MergePolicy{Grace: grace}}},
		Failover:  []understudy.FailoverServer{{ID: standby, Name: "Standby"}},
	}
	switch o.Mode {
	case Mirror:
		layout.Recording[0].MirrorStandby = standby
	case Hot:
		layout.Recording[0].HotStandby = standby
	case Cold:
		layout.Groups = []understudy.FailoverGroup{{ID: "spares", Name: "Spares", Members: []understudy.ServerID{standby}}}
		layout.Recording[0].PrimaryGroup = "spares"
	}
	if len(o.Real) > 0 {
		err := layout.AddCameras(o.Real, home)
		return layout, err
	}
	for i := range o.Cameras {
		layout.Cameras = append(layout.Cameras, understudy.Camera{ID: understudy.CameraID(fmt.Sprintf("cam%d", i+1)), Home: home})
	}
	o.addOthers(&layout)
	return layout, nil
}

func (r *rehearsal) run(ctx context.Context) (Result, error) {
	watching, stop := context.WithCancelCause(ctx)
	defer r.join()
	defer stop(errors.New("the drill is over"))
	for _, act := range r.acts(watching) {
		r.options.Say(act.say)
		if err := act.do(ctx); err != nil {
			// What was not mastered in time is the result of the drill.
			if ctx.Err() != nil {
				return Result{}, err
			}
			result := r.measure()
			result.Why = fmt.Sprintf("while %s: %v", act.say, err)
			return result, nil
		}
	}
	r.options.Say("exporting and accounting for each frame")
	result := r.measure()
	if err := r.export(ctx, r.exports, &result); err != nil {
		result.Why = err.Error()
		return result, nil
	}
	r.options.Say("comparing the record of the incident with the frames")
	if err := r.record(ctx, &result); err != nil {
		result.Why = err.Error()
		return result, nil
	}
	result.judge(r.options)
	return result, nil
}

// act is a part of a drill.
type act struct {
	say string
	do  func(context.Context) error
}

func (r *rehearsal) acts(watching context.Context) []act {
	acts := []act{
		{"recording, until every camera is durable and watched", r.begin(watching)},
		{fmt.Sprintf("%s: %s", r.options.Fault, home), r.strike},
		{"waiting for the takeover", r.awaitTakeover},
		{"bringing the recording server back", r.cure},
		{"waiting for the failback", r.awaitFailback},
		{"waiting for the footage to go home", r.awaitMerge},
	}
	if r.options.KillManagement {
		acts = slices.Insert(acts, 3, act{"starting the management server again", r.returnManagement})
		acts = slices.Insert(acts, 1, act{"killing one of the management servers", r.loseManagement})
	}
	if r.options.NoManagement {
		acts = slices.Insert(acts, 3, act{"starting the management server again", r.returnManagement})
		acts = slices.Insert(acts, 1, act{"killing the management server", r.loseManagement})
	}
	if r.options.Others > 0 {
		acts = slices.Insert(acts, 0, act{"letting the standby stand in for another server first", r.loseNeighbour})
	}
	if r.options.CutMerge {
		acts = slices.Insert(acts, 5, act{"cutting the merge again and again", r.cutMerge})
		acts = slices.Insert(acts, 3, act{"recording more on the standby", r.recordMore})
		acts = slices.Insert(acts, 0, act{"laying a line that can be cut", r.layLine})
	}
	return acts
}

// join waits for the watchers, after they were told to stop.
func (r *rehearsal) join() {
	if r.line != nil {
		r.line.close()
	}
	for _, w := range r.watchers {
		<-w.done
	}
	for _, t := range r.truths {
		<-t.done
	}
}
