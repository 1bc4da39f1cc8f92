package faults_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

// A camera allows one session with its main stream, and the dead server's lives on:
// who stands in records the second stream at once, and the main one when that is
// given. On the way back home does the same, and so do both when it is handed over
// on order and back. Nothing but the takeover is missing, people go on watching, and
// every file plays.
func TestTheSecondStreamStandsInAtATakeover(t *testing.T) {
	const (
		single = understudy.CameraID("single")
		expiry = 15 * time.Second
		gop    = time.Second
	)
	b := up(t, hot("good"), nil)
	dir := t.TempDir()
	for name, size := range map[string]string{"main.mp4": "640x360", "sub.mp4": "320x180"} {
		b.silent("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=25:size="+size, "-t", "10", "-c:v", "libx264", "-g", "25", "-bf", "0",
			"-preset", "veryfast", "-pix_fmt", "yuv420p", filepath.Join(dir, name))
	}
	url, _ := testCamera(t, b.network+"101:8554", "--max-sessions", "1", "--session-expiry", expiry.String(),
		"--file", filepath.Join(dir, "main.mp4"), "--sub-file", filepath.Join(dir, "sub.mp4"))
	if _, err := b.Client.PutCamera(t.Context(), understudy.Camera{ID: single, Home: "rec1", URL: url, Sub: url + "-sub", Sessions: 1}, nil); err != nil {
		t.Fatal(err)
	}
	b.recordsNow(8*time.Second, "rec1", single)
	b.within(10*time.Second, "some of it to be recorded", func(ctx context.Context) bool { return b.recorded(ctx, "rec1", single) > 4*time.Second })
	from := time.Now().Add(-3 * time.Second)
	takes := func(limit time.Duration, server understudy.ServerID, stream understudy.StreamKind) time.Duration {
		return b.within(limit, fmt.Sprintf("%s to record the stream %q", server, stream), func(ctx context.Context) bool {
			s, ok := b.state(ctx, server, single)
			return ok && s.Recording && s.Receiving && s.Stream == stream
		})
	}
	v := b.watch(single)

	b.do("kill", "rec1")
	killed := time.Now()
	b.recordsNow(6*time.Second, "fo1", single)
	takes(5*time.Second, "fo1", understudy.StreamSub)
	b.sees(5*time.Second, v, "fo1")
	takes(expiry+5*time.Second, "fo1", "")
	b.recordsNow(5*time.Second, "fo1", single)
	b.sees(5*time.Second, v, "fo1")

	b.do("start", "rec1")
	b.holds(30*time.Second, "rec1", 2)
	takes(30*time.Second, "rec1", "")
	b.recordsNow(8*time.Second, "rec1", single)
	b.sees(5*time.Second, v, "rec1")

	if _, err := b.Client.HandOver(t.Context(), "rec1", understudy.HandOver{To: "fo1"}); err != nil {
		t.Fatal(err)
	}
	b.holds(20*time.Second, "fo1", 2)
	takes(10*time.Second, "fo1", "")
	if _, err := b.Client.FailBack(t.Context(), "rec1"); err != nil {
		t.Fatal(err)
	}
	b.holds(20*time.Second, "rec1", 2)
	takes(10*time.Second, "rec1", "")
	to := time.Now()
	b.within(10*time.Second, "all up to now to be durable", func(ctx context.Context) bool {
		return b.newest(ctx, "rec1", single).After(to.Add(3 * time.Second))
	})
	b.emptied(time.Minute, "fo1")

	line, err := b.Client.Timeline(t.Context(), single, from, to)
	if err != nil {
		t.Fatal(err)
	}
	var lost time.Duration
	for _, g := range line.Gaps {
		t.Logf("gap of %d ms from %s: %s: %s", g.Milliseconds, g.From.Format("15:04:05.000"), g.Cause, g.Sentence)
		most := 100 * time.Millisecond // by the clocks of two streams
		if g.Cause == understudy.GapTakeover {
			most = gop // a seam of two codings is at a key frame
		}
		switch length := g.To.Sub(g.From); {
		case g.From.Before(killed):
			lost += length
		case length > most:
			t.Errorf("a gap that nothing explains: %+v", g)
		}
	}
	if lost == 0 || lost > gop+3*time.Second {
		t.Errorf("the takeover cost %s", lost)
	}
	if got := strings.Join(b.exported(single, from, to, dir), " "); !strings.HasPrefix(got, "640x360 320x180 640x360") {
		t.Errorf("exported are %s", got)
	}
	b.within(time.Minute, "the incident to be over", func(ctx context.Context) bool {
		all, _ := b.Client.Incidents(ctx, 0)
		return len(all) == 2 && all[0].Phase == understudy.IncidentOver && all[1].Phase == understudy.IncidentOver
	})
	b.toldOfTheSecond(single, killed)
	t.Log(b.story())
}

// toldOfTheSecond looks for who recorded the second stream in the first incident.
func (b *broken) toldOfTheSecond(camera understudy.CameraID, killed time.Time) {
	b.Helper()
	all, err := b.Client.Incidents(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	i, err := b.Client.Incident(b.Context(), all[len(all)-1].ID)
	if err != nil {
		b.Fatal(err)
	}
	at := slices.IndexFunc(i.Cameras, func(c understudy.IncidentCamera) bool { return c.Camera == camera })
	if at < 0 || i.Cameras[at].Account == nil {
		b.Fatalf("the incident has no account of %s: %+v", camera, i)
	}
	a := i.Cameras[at].Account
	b.Log(a.Sentence)
	if len(a.StandIns) == 0 || a.StandIns[0].Server != "fo1" || a.StandIns[0].From.Before(killed.Add(-time.Second)) || a.StandIns[0].To.Sub(a.StandIns[0].From) < 5*time.Second ||
		!strings.Contains(a.Sentence, "fo1 recorded its second one") {
		b.Errorf("of the second stream it says %+v", a.StandIns)
	}
}

// exported takes a range out, a file for each coding, and returns the sizes of the
// pictures; each file plays.
func (b *broken) exported(camera understudy.CameraID, from, to time.Time, dir string) (sizes []string) {
	b.Helper()
	for n := 1; n < 10; n++ {
		name := filepath.Join(dir, fmt.Sprintf("export-%d.mp4", n))
		file, err := os.Create(name)
		if err != nil {
			b.Fatal(err)
		}
		result, err := b.Client.Export(b.Context(), camera, from, to, file, nil)
		file.Close()
		changed := understudy.CodeOf(err) == understudy.CodeConflict && result.Frames > 0
		if err != nil && !changed {
			b.Fatal(err)
		}
		size, err := exec.CommandContext(b.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0:s=x", name).CombinedOutput()
		if err != nil {
			b.Errorf("%s: %v %s", name, err, size)
		}
		b.silent("ffmpeg", "-v", "error", "-xerror", "-i", name, "-fps_mode", "passthrough", "-enc_time_base:v", "1/90000", "-f", "null", "-")
		sizes = append(sizes, strings.TrimSpace(string(size)))
		if from = result.Changed; !changed {
			break
		}
	}
	return sizes
}
