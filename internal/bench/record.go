package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// RecordOptions are what Record is asked for.
type RecordOptions struct {
	Cameras int
	Seconds int    // of each measurement
	Dir     string // the recordings lie in a new folder of this one, which is removed; empty: the system's temporary one
	Profile string // file for a processor profile of the recorder; empty: none
	Say     func(string)
}

// RecordResult is what recording costs, beside what receiving alone costs a
// plain client in the same run.
type RecordResult struct {
	Machine
	Cameras           int     `json:"cameras"`
	Seconds           float64 `json:"seconds"`
	CPUPerCamera      float64 `json:"cpu_ms_per_camera_second"` // user and system, sync each second included
	RSSPerCamera      float64 `json:"rss_mib_per_camera"`       // the most that was seen
	BytesPerSecond    float64 `json:"bytes_per_s"`              // of all cameras, as recorded
	Frames            int     `json:"frames"`                   // found in the recordings
	LostFrames        int     `json:"lost_frames"`
	FloorPerCamera    float64 `json:"floor_cpu_ms_per_camera_second"` // gortsplib's client, which discards
	FloorRSSPerCamera float64 `json:"floor_rss_mib_per_camera"`
	Ratio             float64 `json:"ratio"`
	CamerasCPU        float64 `json:"cameras_cpu_ms_per_camera_second"` // of the test cameras, for scale
}

// How long a part runs before it is measured, a GOP and more, and after.
var (
	settleTime = 5 * time.Second
	outro      = time.Second
)

// Record starts cameras in a process of their own, measures a client that
// discards, then the recorder, both against the same running cameras, and reads
// the recordings back to find each frame.
func Record(ctx context.Context, o RecordOptions) (RecordResult, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	o.Say("the cameras' clip")
	file, err := clip(ctx)
	if err != nil {
		return RecordResult{}, err
	}
	dir, err := os.MkdirTemp(o.Dir, "understudy-bench-")
	if err != nil {
		return RecordResult{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cameras, urls, err := start(ctx, "cameras", cameraOrders{File: file, Count: o.Cameras})
	if err != nil {
		return RecordResult{}, err
	}
	result, err := record(ctx, o, cameras, urls, dir)
	return result, errors.Join(err, cameras.end())
}

func record(ctx context.Context, o RecordOptions, cameras *process, urls []string, dir string) (RecordResult, error) {
	r := RecordResult{Machine: ThisMachine(), Cameras: o.Cameras}
	window := time.Duration(o.Seconds) * time.Second
	o.Say("the floor: a client that discards")
	floor, err := run(ctx, "floor", floorOrders{URLs: urls}, window)
	if err != nil {
		return r, err
	}
	o.Say("the recorder")
	before, err := cameras.usage()
	if err != nil {
		return r, err
	}
	recorder, err := run(ctx, "recorder", recorderOrders{URLs: urls, Dir: dir, Profile: o.Profile}, window)
	if err != nil {
		return r, err
	}
	after, err := cameras.usage()
	if err != nil {
		return r, err
	}
	o.Say("reading the recordings back")
	found, err := account(ctx, dir, o.Cameras, recorder.from, recorder.to)
	if err != nil {
		return r, err
	}
	perCamera := func(cpu, over time.Duration) float64 {
		return round(cpu.Seconds() * 1000 / over.Seconds() / float64(o.Cameras))
	}
	took := recorder.to.Sub(recorder.from)
	r.Seconds = round(took.Seconds())
	r.CPUPerCamera = perCamera(recorder.cpu, took)
	r.FloorPerCamera = perCamera(floor.cpu, floor.to.Sub(floor.from))
	r.CamerasCPU = perCamera(after.cpu-before.cpu, after.at.Sub(before.at))
	r.RSSPerCamera = round(float64(recorder.rss) / (1 << 20) / float64(o.Cameras))
	r.FloorRSSPerCamera = round(float64(floor.rss) / (1 << 20) / float64(o.Cameras))
	r.BytesPerSecond = round(float64(found.bytes) / took.Seconds())
	r.Frames, r.LostFrames = found.frames, found.lost
	r.Ratio = round(r.CPUPerCamera / r.FloorPerCamera)
	return r, nil
}

// run measures one part and lets it finish.
func run(ctx context.Context, name string, orders any, window time.Duration) (measured, error) {
	p, _, err := start(ctx, name, orders)
	if err != nil {
		return measured{}, err
	}
	m, err := p.measure(ctx, settleTime, window)
	err = errors.Join(err, sleep(ctx, outro)) // what was on its way at the end of the window is to arrive
	return m, errors.Join(err, p.end())
}

func round(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }

// Print writes the result for people.
func (r RecordResult) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %s\n", r.Machine.Machine, r.Date.Format("2006-01-02"))
	fmt.Fprintf(t, "%d cameras for %.0f s\t%.1f Mbit/s a camera\n", r.Cameras, r.Seconds, r.BytesPerSecond*8/1e6/float64(r.Cameras))
	fmt.Fprintf(t, "recorder\t%.2f ms of CPU a camera-second\t%.2f MiB a camera\n", r.CPUPerCamera, r.RSSPerCamera)
	fmt.Fprintf(t, "client that discards\t%.2f ms\t%.2f MiB\n", r.FloorPerCamera, r.FloorRSSPerCamera)
	fmt.Fprintf(t, "ratio\t%.2f\n", r.Ratio)
	fmt.Fprintf(t, "frames\t%d found, %d lost\n", r.Frames, r.LostFrames)
	return t.Flush()
}
