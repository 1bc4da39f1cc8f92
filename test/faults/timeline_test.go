package faults_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/site"
)

// slowly is a merge that takes its time, so that a timeline is asked for meanwhile.
var slowly = understudy.MergePolicy{BytesPerSecond: 200_000, Grace: time.Second}

// While footage goes home slowly, and afterwards, an export of the failed-over
// time has the same frames each time, from the client and from either server
// alone, and players find nothing wrong with it; the one gap is the takeover's.
func TestOneTimelineThroughTheMerge(t *testing.T) {
	l := hot("north", "south")
	l.Recording[0].Merge = slowly
	b := up(t, l, nil)
	b.do(site.FaultKill, "rec1")
	b.holds(5*time.Second, "fo1", 2)
	b.recordsNow(6*time.Second, "fo1", "north")
	b.within(20*time.Second, "some seconds of the standby", func(ctx context.Context) bool { return b.recorded(ctx, "fo1", "north") > 5*time.Second })
	b.do(site.CureStart, "rec1")
	b.holds(20*time.Second, "rec1", 2)
	b.recordsNow(6*time.Second, "rec1", "north")
	to := b.newest(t.Context(), "rec1", "north").Add(-time.Second)
	dir := t.TempDir()
	want := b.exports(filepath.Join(dir, "before.mp4"), to)
	times := 0
	b.within(60*time.Second, "the merge", func(ctx context.Context) bool {
		if got := b.exports(filepath.Join(dir, "during.mp4"), to); !slices.Equal(got, want) {
			t.Fatalf("during the merge an export has %d frames, and %d before", len(got), len(want))
		}
		for _, server := range []understudy.ServerID{"rec1", "fo1"} {
			if got := b.plays(server, filepath.Join(dir, string(server)+".mp4"), to); !slices.Equal(got, want) {
				t.Fatalf("during the merge %s alone plays %d frames of %d", server, len(got), len(want))
			}
		}
		times++
		segments, err := b.Client.Segments(ctx, "fo1", "north", b.from, to, false)
		return err == nil && len(segments) == 0
	})
	if times < 3 {
		t.Errorf("the merge was over after %d looks", times)
	}
	b.emptied(30*time.Second, "fo1")
	if got := b.exports(filepath.Join(dir, "after.mp4"), to); !slices.Equal(got, want) {
		t.Errorf("after the merge an export has %d frames, and %d before", len(got), len(want))
	}
	for _, name := range []string{"before.mp4", "during.mp4", "after.mp4", "rec1.mp4", "fo1.mp4"} {
		b.silent("ffprobe", "-v", "error", filepath.Join(dir, name))
		b.silent("ffmpeg", "-v", "error", "-i", filepath.Join(dir, name), "-f", "null", "-")
	}
	b.oneTakeover(to)
	if t.Failed() {
		t.Log(b.story())
	}
}

// exports writes an export of the first camera, from the beginning to a time,
// and returns the hashes of its pictures.
func (b *broken) exports(name string, to time.Time) []understudy.SampleHash {
	b.Helper()
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	result, err := b.Client.Export(b.Context(), "north", b.from, to, file, nil)
	if err != nil || len(result.Missing) > 0 || len(result.Skipped) > 0 {
		b.Fatalf("an export of %d frames lacks %v and %v: %v", result.Frames, result.Missing, result.Skipped, err)
	}
	return b.pictures(file)
}

// plays takes the same from one server, as a player does that knows no other.
func (b *broken) plays(server understudy.ServerID, name string, to time.Time) []understudy.SampleHash {
	b.Helper()
	now, err := b.Client.Site(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	token, err := b.Client.MediaToken(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	addresses, _ := now.Addresses(server)
	query := url.Values{"from": {b.from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}, "token": {string(token)}}
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://"+addresses.Media+"/v1/cameras/north/media.mp4?"+query.Encode(), nil)
	if err != nil {
		b.Fatal(err)
	}
	response, err := b.Client.HTTP(server).Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, response.Body); err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%s answered %d: %v", server, response.StatusCode, err)
	}
	return b.pictures(file)
}

func (b *broken) pictures(file io.ReadSeeker) (hashes []understudy.SampleHash) {
	b.Helper()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		b.Fatal(err)
	}
	reader := fmp4.NewReader(file)
	if _, _, err := reader.Header(); err != nil {
		b.Fatal(err)
	}
	for {
		fragment, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return hashes
		}
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range fragment.Samples {
			if s.Track == understudy.VideoTrack {
				hashes = append(hashes, s.Hash)
			}
		}
	}
}

// silent runs a program that must have nothing to say.
func (b *broken) silent(program string, arguments ...string) {
	b.Helper()
	if said, err := exec.CommandContext(b.Context(), program, arguments...).CombinedOutput(); err != nil || len(said) > 0 {
		b.Errorf("%s %v: %v\n%.500s", program, arguments, err, said)
	}
}

// oneTakeover checks the timeline: all of it lies at home, and its one gap is the
// takeover, as long as the hole that the frames' own counters show.
func (b *broken) oneTakeover(to time.Time) {
	b.Helper()
	line, err := b.Client.Timeline(b.Context(), "north", b.from, to)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range line.Spans {
		if s.At != "rec1" {
			b.Errorf("a span of %s lies on %s", s.Holder, s.At)
		}
	}
	holes := b.account("north")
	if len(line.Gaps) != 1 || len(holes) != 1 {
		b.Fatalf("gaps %+v\nspans %+v\nholes %v", line.Gaps, line.Spans, holes)
	}
	gap, lost := line.Gaps[0], holes[0].before.Sub(holes[0].after)
	if gap.Cause != understudy.GapTakeover || gap.Epoch != 2 || gap.Sentence == "" {
		b.Errorf("the gap is %+v", gap)
	}
	frame := lost / time.Duration(holes[0].frames+1)
	if (time.Duration(gap.Milliseconds)*time.Millisecond - (lost - frame)).Abs() > frame/2 {
		b.Errorf("the gap of %d ms has %d frames of %s", gap.Milliseconds, holes[0].frames, frame)
	}
	b.Logf("the gap: %d ms, %s", gap.Milliseconds, gap.Sentence)
}
