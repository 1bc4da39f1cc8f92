package rtsp_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/testcam"
)

// serve runs test cameras for the length of the test.
func serve(t *testing.T, cameras ...testcam.Camera) *testcam.Cameras {
	t.Helper()
	served, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: cameras})
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) { _ = served.Run(ctx) })
	return served
}

// start runs f in a goroutine and waits for its end when the test ends.
func start(t *testing.T, f func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// pumping returns a pump that runs, as a recording server has one.
func pumping(t *testing.T) *rtsp.Pump {
	t.Helper()
	p := rtsp.NewPump()
	start(t, func(ctx context.Context) { _ = p.Run(ctx) })
	return p
}

// tape is a Sink that keeps everything.
type tape struct {
	mu      sync.Mutex
	tracks  [][]us.Track
	samples []*us.Sample
	more    chan struct{}
}

func newTape() *tape { return &tape{more: make(chan struct{}, 1)} }

func (s *tape) Tracks(tracks []us.Track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracks = append(s.tracks, tracks)
}

func (s *tape) Sample(sample *us.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, sample)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// wait returns the first n samples, as soon as there are so many.
func (s *tape) wait(t *testing.T, n int) []*us.Sample {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		samples := s.samples
		s.mu.Unlock()
		if len(samples) >= n {
			return samples[:n]
		}
		select {
		case <-s.more:
		case <-limit:
			t.Fatalf("%d samples came, expected %d", len(samples), n)
		}
	}
}

// pull pulls a camera for the length of the test.
func pull(t *testing.T, c rtsp.Config) *tape {
	t.Helper()
	got := newTape()
	c.Pump = pumping(t)
	start(t, func(ctx context.Context) {
		if err := rtsp.Pull(ctx, c, got); ctx.Err() == nil {
			t.Errorf("the session ended: %v", err)
		}
	})
	return got
}

func TestTwoSessionsCarryTheSameSamplesAtTheSameTimes(t *testing.T) {
	for _, transport := range []us.Transport{us.TransportTCP, us.TransportUDP} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			cameras := serve(t, testcam.Camera{Name: "lobby", GOP: 500 * time.Millisecond, Username: "ada", Password: "lovelace"})
			config := rtsp.Config{URL: cameras.URL("lobby"), Transport: transport, Username: "ada", Password: "lovelace"}
			first := pull(t, config)
			first.wait(t, 5)
			second := pull(t, config)
			right := second.wait(t, 120)
			left := first.wait(t, 130)
			compareSessions(t, left, right, 80, 50*time.Millisecond)
			if !left[0].Key || !right[0].Key {
				t.Error("a session begins with what cannot be decoded")
			}
			checkSamples(t, "lobby", left)
			checkSamples(t, "lobby", right)
		})
	}
}

// settled reports whether a session has had the time to find the camera's
// clock: on a machine that is busy with other tests, its first samples arrive late.
func settled(session []*us.Sample, s *us.Sample) bool {
	return s.At.Sub(session[0].At) > 1500*time.Millisecond
}

// checkSamples holds what is promised of every session.
func checkSamples(t *testing.T, camera string, samples []*us.Sample) {
	t.Helper()
	var before testcam.Stamp
	for i, s := range samples {
		stamp, ok := testcam.ParseStamp(s.Payload)
		if !ok || stamp.Camera != camera {
			t.Fatalf("sample %d carries stamp %+v, %v", i, stamp, ok)
		}
		if apart := s.At.Sub(stamp.At).Abs(); apart > 50*time.Millisecond && settled(samples, s) {
			t.Errorf("sample %d is %s away from its capture", i, apart)
		}
		if i > 0 && (stamp.Frame != before.Frame+1 || !s.At.After(samples[i-1].At)) {
			t.Errorf("sample %d: frame %d at %s follows frame %d at %s", i, stamp.Frame, s.At, before.Frame, samples[i-1].At)
		}
		before = stamp
	}
}

// compareSessions holds that what two sessions of one camera have in common,
// at least that many samples, is the same: bytes, kind and capture time.
func compareSessions(t *testing.T, left, right []*us.Sample, least int, tolerance time.Duration) {
	t.Helper()
	byHash := map[us.SampleHash]*us.Sample{}
	for _, s := range left {
		byHash[s.Hash] = s
	}
	common := 0
	for _, s := range right {
		other, ok := byHash[s.Hash]
		if !ok {
			continue
		}
		common++
		if string(other.Payload) != string(s.Payload) || other.Key != s.Key {
			t.Error("two samples of one hash differ")
		}
		if apart := other.At.Sub(s.At).Abs(); apart > tolerance && settled(left, other) && settled(right, s) {
			t.Errorf("one sample has capture times %s apart", apart)
		}
	}
	if common < least {
		t.Errorf("the sessions have %d samples in common, expected %d", common, least)
	}
}

// bFrames returns a clip whose pictures are not sent in the order in which they are shown.
func bFrames(t *testing.T) string {
	t.Helper()
	clip := filepath.Join(t.TempDir(), "b.mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-t", "8",
		"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "3", "-pix_fmt", "yuv420p", clip).CombinedOutput()
	if err != nil {
		t.Skipf("ffmpeg cannot make a clip with B-frames: %v %s", err, out)
	}
	return clip
}

func TestPicturesOutOfOrderHaveDecodeTimes(t *testing.T) {
	t.Parallel()
	cameras := serve(t, testcam.Camera{Name: "lobby", File: bFrames(t)})
	samples := pull(t, rtsp.Config{URL: cameras.URL("lobby")}).wait(t, 120)
	reordered := 0
	for i, s := range samples {
		stamp, ok := testcam.ParseStamp(s.Payload)
		if !ok {
			t.Fatal("a sample carries no stamp")
		}
		if apart := s.At.Add(s.Offset).Sub(stamp.At).Abs(); apart > 50*time.Millisecond && settled(samples, s) {
			t.Errorf("sample %d is shown %s away from its capture", i, apart)
		}
		if s.Offset < 0 || i > 0 && !s.At.After(samples[i-1].At) {
			t.Errorf("sample %d: offset %s, %s after the one before", i, s.Offset, s.At.Sub(samples[max(0, i-1)].At))
		}
		if s.Offset > 0 {
			reordered++
		}
	}
	if reordered < 40 {
		t.Errorf("%d of 120 samples are shown later than they are decoded", reordered)
	}
}
