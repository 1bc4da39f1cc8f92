package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/drill"
)

func TestMain(m *testing.M) {
	if inRun() {
		return
	}
	os.Exit(m.Run())
}

// few is a handful of kinds that between them use all that the campaign can do:
// processes, cables, power, disks, and the moments of a takeover and a merge.
const few = "kill,hang,power,isolated,disk-fails,fo-killed-in-merge,mgt-dies-at-claim,second-failover"

// A handful of runs as the campaign does them, all at once; `make campaign` does hundreds.
func TestAHandfulOfKinds(t *testing.T) {
	if os.Getenv("UNDERSTUDY_CAMPAIGN") == "" {
		t.Skip("make sample runs this: whole sites of real processes, for a minute")
	}
	if err := able(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	c := campaign{
		only: strings.Split(few, ","), modes: string(understudy.StandbyHot), seed: uint64(time.Now().UnixNano()), together: 4,
		binary: filepath.Join(dir, "understudy"), disk: filepath.Join(dir, "fusedisk"), keep: os.Getenv("UNDERSTUDY_CAMPAIGN_KEEP"),
	}
	if c.runs = len(c.only); c.keep == "" {
		c.keep = dir
	}
	for _, build := range []struct{ in, what, to string }{{"../..", "./cmd/understudy", c.binary}, {"../../tools/fusedisk", "./mount", c.disk}} {
		cmd := exec.Command("go", "build", "-o", build.to, build.what)
		cmd.Dir = build.in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s could not be built: %v: %s", build.what, err, out)
		}
	}
	r, err := c.run(t.Context(), func(o outcome) { t.Log(o.line()) })
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	r.print(&table)
	t.Log("\n" + table.String())
	if r.Runs != c.runs || r.Failed > 0 {
		t.Errorf("%d of %d runs were done, and %d failed; seed %d", r.Runs, c.runs, r.Failed, c.seed)
	}
}

// Every kind can be told from the others, says what is done, and comes in some mode.
func TestKindsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kinds {
		if seen[k.name] || strings.ContainsAny(k.name, ", /") || k.does == "" || len(k.modes) == 0 || len(k.acts) == 0 {
			t.Errorf("kind %q, which does %q in %d modes", k.name, k.does, len(k.modes))
		}
		seen[k.name] = true
	}
	if len(kinds) < 40 {
		t.Errorf("%d kinds", len(kinds))
	}
}

// The runs are spread evenly, and a seed gives the same ones again.
func TestOrdersAreSpreadAndRepeat(t *testing.T) {
	c := campaign{runs: 400, seed: 7}
	first, err := c.orders()
	if err != nil {
		t.Fatal(err)
	}
	again, _ := c.orders()
	count := map[string]int{}
	for i, o := range first {
		if o != again[i] {
			t.Fatalf("run %d is %v and then %v", i, o, again[i])
		}
		count[o.Kind+" "+string(o.Mode)]++
	}
	least, most := 400, 0
	for _, n := range count {
		least, most = min(least, n), max(most, n)
	}
	if most-least > 1 {
		t.Errorf("a kind has %d runs, another %d", most, least)
	}
	if _, err := (&campaign{runs: 1, only: []string{"earthquake"}}).orders(); err == nil || !strings.Contains(err.Error(), "earthquake") {
		t.Errorf("an unknown kind was answered with %v", err)
	}
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// frames makes frames of a camera: from and up to a number, 50 ms apart, a key frame each second.
func frames(start time.Time, from, to uint64) (list []drill.Frame) {
	for n := from; n < to; n++ {
		list = append(list, drill.Frame{At: start.Add(time.Duration(n) * 50 * time.Millisecond), Number: n, Key: n%20 == 0, Stamped: true})
	}
	return list
}

// What explains a hole is a fault that struck where it begins, and no more.
func TestAHoleIsExplainedOrNot(t *testing.T) {
	at := func(n int) time.Time { return noon.Add(time.Duration(n) * 50 * time.Millisecond) }
	w := window{camera: "cam1", struck: at(45), from: at(41), to: at(100), limit: 4 * time.Second}
	for _, c := range []struct {
		name     string
		camera   understudy.CameraID
		from, to uint64 // the numbers that are missing
		want     bool
	}{
		{"from the watermark to a key frame", "cam1", 41, 60, true},
		{"begins later: more was durable", "cam1", 44, 60, true},
		{"what was durable", "cam1", 39, 60, false},
		{"ends with no key frame", "cam1", 41, 61, false},
		{"another camera", "cam2", 41, 60, false},
		{"longer than the cause can cost", "cam1", 41, 140, false},
		{"after somebody recorded again", "cam1", 81, 120, false},
	} {
		list := append(frames(noon, 0, c.from), frames(noon, c.to, 200)...)
		holes, doubled, foreign := account(list, nil)
		if len(holes) != 1 || holes[0].Frames != int(c.to-c.from) || doubled+foreign > 0 {
			t.Fatalf("%s: %v, %d doubled, %d foreign", c.name, holes, doubled, foreign)
		}
		if got := w.explains(c.camera, holes[0]); got != c.want {
			t.Errorf("%s: explained %v", c.name, got)
		}
	}
}

// A camera that was started again counts from nothing: what it made before it
// was recorded is lost, and the time in which it made nothing is not.
func TestEachLifeOfACameraCounts(t *testing.T) {
	reborn := noon.Add(10 * time.Second)
	list := append(frames(noon, 0, 100), frames(reborn, 20, 60)...)
	holes, doubled, _ := account(list, []time.Time{reborn})
	if doubled != 0 || len(holes) != 1 || holes[0].Frames != 20 || !holes[0].After.Equal(reborn) || !holes[0].key {
		t.Errorf("%+v, %d doubled", holes, doubled)
	}
	_, doubled, _ = account(append(list, frames(reborn, 40, 61)...), []time.Time{reborn})
	if doubled != 20 {
		t.Errorf("%d doubled, want 20", doubled)
	}
}

// The table has half and worst of each row, and counts what failed.
func TestTheTable(t *testing.T) {
	var r report
	for i, o := range []outcome{
		{Kind: "kill", Mode: understudy.StandbyHot, Passed: true, Decided: true, Decision: 140, Gap: 600, Lost: 20, Frames: 300},
		{Kind: "kill", Mode: understudy.StandbyHot, Passed: true, Decided: true, Decision: 160, Gap: 900, Lost: 30, Frames: 300},
		{Kind: "kill", Mode: understudy.StandbyHot, Why: "lost its way", Doubled: 3, Left: 2},
		{Kind: "kill", Mode: understudy.StandbyCold, Passed: true},
	} {
		o.Seed = uint64(i)
		r.add(o)
	}
	hot := r.Rows[1]
	if r.Runs != 4 || r.Failed != 1 || hot.Runs != 3 || hot.Decision != [2]int64{140, 160} || hot.Gap != [2]int64{600, 900} ||
		hot.Lost != 50 || hot.Worst != 30 || hot.Doubled != 3 || hot.Left != 2 || hot.Decided != 2 {
		t.Errorf("%+v", r)
	}
	var text bytes.Buffer
	r.print(&text)
	if !strings.Contains(text.String(), "140 / 160") || !strings.Contains(text.String(), "lost its way") {
		t.Error(text.String())
	}
}

// A campaign that may not make namespaces says so before it does anything.
func TestAbleSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := able()
	if err == nil || !strings.Contains(err.Error(), "install-test-tools") {
		t.Errorf("%v", err)
	}
	c := campaign{runs: 1}
	if _, err := c.run(context.Background(), func(outcome) { t.Error("a run was done") }); err == nil {
		t.Error("no error")
	}
}
