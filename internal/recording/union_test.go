package recording

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/media/mediatest"
)

// record stores a clip, from one sample to another.
func (r *running) record(t *testing.T, epoch uint64, tracks []understudy.Track, samples []fmp4.TimedSample) {
	t.Helper()
	w, err := r.store.NewWriter("lobby", epoch, tracks)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		if err := w.Write(s.Sample); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// comeHome moves all footage of from to home, and deletes it where it was.
func comeHome(t *testing.T, from, home *running) {
	t.Helper()
	for _, s := range all(t, from) {
		file, err := from.store.OpenSegment(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		i, err := home.store.Import(s.ID, s.Size, sha256.Sum256(content))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := i.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := from.store.Delete(s.ID, "it came home"); err != nil {
			t.Fatal(err)
		}
	}
}

func all(t *testing.T, r *running) []understudy.Segment {
	t.Helper()
	segments, err := r.store.Segments(t.Context(), "lobby", fmp4test.Start, fmp4test.Start.Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	return segments
}

// apart is a site in which home has the first third of a clip, a failover server
// the rest, and a third server nothing.
func apart(t *testing.T) (home, standby, third *running, samples []fmp4.TimedSample, token string) {
	t.Helper()
	i := newInstallation(t)
	home = i.start(i.join("rec1", understudy.RoleRecording), options{})
	standby = i.start(i.join("fo1", understudy.RoleFailover), options{})
	third = i.start(i.join("rec2", understudy.RoleRecording), options{})
	tracks, samples := fmp4test.Clip(t, "h265", 3)
	third1 := slices.IndexFunc(samples, func(s fmp4.TimedSample) bool {
		return s.Key && s.Track == understudy.VideoTrack && s.At.Sub(samples[0].At) > 2*time.Second
	})
	home.record(t, 1, tracks, samples[:third1])
	standby.record(t, 2, tracks, samples[third1:])
	site := understudy.Site{Seq: 1, Cameras: []understudy.Camera{{ID: "lobby", Home: "rec1"}},
		Leases:           understudy.Leases{{Camera: "lobby", Holder: "fo1", Epoch: 2}},
		RecordingServers: []understudy.RecordingServer{{ID: "rec1", Addresses: home.addresses}, {ID: "rec2", Addresses: third.addresses}},
		FailoverServers:  []understudy.FailoverServer{{ID: "fo1", Addresses: standby.addresses}}}
	for _, r := range []*running{home, standby, third} {
		r.SetSite(site)
	}
	return home, standby, third, samples, i.token(understudy.AllCameras)
}

func pictures(samples []fmp4.TimedSample) []understudy.SampleHash {
	var hashes []understudy.SampleHash
	for _, s := range samples {
		if s.Track == understudy.VideoTrack {
			hashes = append(hashes, s.Hash)
		}
	}
	return hashes
}

func (r *running) playlist(token string) string {
	query := url.Values{"from": {fmp4test.Start.Add(-time.Minute).Format(time.RFC3339)}, "to": {fmp4test.Start.Add(time.Hour).Format(time.RFC3339)}, "token": {token}}
	return "http://" + r.addresses.Media + "/v1/cameras/lobby/hls/index.m3u8?" + query.Encode()
}

// played takes the whole range as one file from a server, as a player would.
func (r *running) played(t *testing.T, token string) []understudy.SampleHash {
	t.Helper()
	query := url.Values{"from": {fmp4test.Start.Add(-time.Minute).Format(time.RFC3339)}, "to": {fmp4test.Start.Add(time.Hour).Format(time.RFC3339)}, "token": {token}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addresses.Media+"/v1/cameras/lobby/media.mp4?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %d: %v %.200s", r.node.ID(), response.StatusCode, err, content)
	}
	var hashes []understudy.SampleHash
	reader := fmp4.NewReader(bytes.NewReader(content))
	for {
		f, err := reader.Next()
		if err != nil {
			return hashes
		}
		hashes = append(hashes, pictures(f.Samples)...)
	}
}

// A player that knows one address sees all of a range, whichever server that is,
// before footage goes home and afterwards.
func TestAnyServerPlaysWhatLiesOnOthers(t *testing.T) {
	home, standby, third, samples, token := apart(t)
	want := pictures(samples)
	for _, when := range []string{"before the merge", "after it"} {
		for _, r := range []*running{home, standby, third} {
			if got := r.played(t, token); !slices.Equal(got, want) {
				t.Errorf("%s %s plays %d frames of %d", when, r.node.ID(), len(got), len(want))
			}
			if n := mediatest.Frames(t, r.playlist(token)); n != len(want) {
				t.Errorf("%s the playlist of %s has %d frames of %d", when, r.node.ID(), n, len(want))
			}
		}
		if when == "before the merge" {
			comeHome(t, standby, home)
		}
	}
}

// What moves between the list and the reading is read where it is then: from
// neither server's point of view is a frame missing.
func TestFootageMovesHomeWhileItIsRead(t *testing.T) {
	home, standby, third, samples, _ := apart(t)
	for _, r := range []*running{home, standby, third} {
		segments, err := library{r.store, r.Server}.Segments(t.Context(), "lobby", fmp4test.Start.Add(-time.Minute), fmp4test.Start.Add(time.Minute), true)
		if err != nil {
			t.Fatal(err)
		}
		if len(all(t, standby)) > 0 && r == third { // listed there, and gone before it is opened
			comeHome(t, standby, home)
		}
		var got []understudy.SampleHash
		for _, p := range understudy.Join("rec1", segments) {
			file, err := library{r.store, r.Server}.OpenSegment(t.Context(), p.Segment)
			if err != nil {
				t.Fatalf("%s: %v", r.node.ID(), err)
			}
			reader := fmp4.NewReader(file)
			var marks []understudy.SampleHash
			for {
				f, err := reader.Next()
				if err != nil {
					break
				}
				marks = append(marks, pictures(f.Samples)...)
			}
			file.Close()
			got = append(got, marks[p.First:p.First+p.Count]...)
		}
		if !slices.Equal(got, pictures(samples)) {
			t.Errorf("%s reads %d frames of %d", r.node.ID(), len(got), len(pictures(samples)))
		}
	}
}

// A home that has all of a range asks nobody: one that hangs costs it nothing.
func TestWhoHasAllAsksNobody(t *testing.T) {
	home, standby, _, _, _ := apart(t)
	comeHome(t, standby, home)
	home.elsewhere = nobody{t}
	segments := all(t, home)
	slices.SortFunc(segments, func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) })
	from, to := segments[0].Start, segments[len(segments)-1].End
	if got, err := (library{home.store, home.Server}).Segments(t.Context(), "lobby", from, to, false); err != nil || len(got) != len(segments) {
		t.Errorf("%d segments of %d, %v", len(got), len(segments), err)
	}
}

// nobody must not be asked.
type nobody struct{ t *testing.T }

func (n nobody) Segments(context.Context, understudy.CameraID, time.Time, time.Time, bool) ([]understudy.Segment, error) {
	n.t.Error("others were asked for what lies here")
	return nil, nil
}

func (n nobody) OpenSegment(_ context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	n.t.Errorf("others were asked for segment %s", strings.TrimSpace(id.String()))
	return nil, understudy.Errorf(understudy.CodeNotFound, "nobody has it")
}
