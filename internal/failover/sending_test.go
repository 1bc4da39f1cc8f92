package failover

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// laden is a disk with a segment and nothing else.
type laden struct {
	emptyDisk
	segment understudy.Segment
}

func (l laden) Foreign() []understudy.Segment { return []understudy.Segment{l.segment} }

// nobody is a node that connects to nobody.
type nobody struct{ Node }

func (nobody) ID() understudy.ServerID { return "fo-1" }

// newSender returns a server that is not run, and what it tells the event log.
func newSender(t *testing.T, policy understudy.MergePolicy, dialled *int) (*Server, <-chan understudy.Report) {
	t.Helper()
	reports := make(chan understudy.Report, 16)
	s := New(Config{
		Report: func(r understudy.Report) { reports <- r },
		Node:   nobody{}, Recorder: &recorder{}, Log: slog.New(slog.DiscardHandler),
		Store: laden{segment: understudy.Segment{ID: understudy.SegmentID{Camera: "lobby", Epoch: 2, Holder: "fo-1", Sequence: 1}, Size: 5e6, Closed: true}},
		DialMerge: func(context.Context, understudy.ServerID, string) (net.Conn, error) {
			*dialled++
			return nil, errors.New("not here")
		},
		DialState: func(context.Context, understudy.ServerID, string) (Conn, error) { return nil, errors.New("not here") },
	})
	s.kept.Site = understudy.Site{Seq: 1, Cameras: []understudy.Camera{{ID: "lobby", Home: "rec-1"}},
		RecordingServers: []understudy.RecordingServer{{ID: "rec-1", Merge: policy}}}
	return s, reports
}

// Footage goes home within its windows by home's own clock, and who waits says why, once.
func TestFootageWaitsForItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := 0
		s, reports := newSender(t, understudy.MergePolicy{Windows: "daily 20:00-22:00"}, &dialled)
		east := time.FixedZone("", 5*3600)
		// The clock here is at midnight UTC, five in the morning at home.
		s.state.watches = map[understudy.ServerID]*watch{"rec-1": {known: true, state: understudy.State{At: time.Now().In(east)}}}
		homes := map[understudy.ServerID]string{"rec-1": "rec-1:5210"}
		round := func() {
			s.sendHome(t.Context(), homes)
			s.children.Wait()
			s.look([]understudy.ServerID{"rec-1"})
		}
		round()
		round()
		transfers := *s.transfers.Load()
		if dialled != 0 || len(transfers) != 1 || transfers[0].SegmentsLeft != 1 || transfers[0].BytesLeft != 5e6 ||
			!strings.Contains(transfers[0].Waiting, "daily 20:00-22:00") || !strings.Contains(transfers[0].Waiting, "05:00") {
			t.Errorf("dialled %d times, told %+v", dialled, transfers)
		}
		if len(reports) != 1 {
			t.Errorf("%d events tell of the window, want 1", len(reports))
		}
		time.Sleep(15 * time.Hour) // until 20:00 there
		round()
		if dialled != 1 {
			t.Errorf("dialled %d times within the window", dialled)
		}
		time.Sleep(3 * time.Hour)
		round()
		if dialled != 1 || len(reports) != 3 { // the begin, and the next window
			t.Errorf("dialled %d times after the window, %d events", dialled, len(reports))
		}
	})
}

func TestAHomeThatLagsIsNoticed(t *testing.T) {
	dialled := 0
	s, _ := newSender(t, understudy.MergePolicy{}, &dialled)
	s.state.at = time.Minute
	mark := understudy.Watermark{At: time.Now()}
	state := understudy.State{Storage: understudy.StorageState{Writable: true}, Cameras: []understudy.CameraState{{Camera: "lobby", Receiving: true, Watermark: mark}}}
	well := watch{known: true, state: state, trip: 10 * time.Millisecond,
		cameras: map[understudy.CameraID]progress{"lobby": {mark: mark, begun: true, moved: time.Minute - time.Second}}}
	slow, full, behind, waiting, silent := well, well, well, well, well
	slow.trip = time.Second
	full.state.Storage = understudy.StorageState{Sentence: "the disk is full"}
	behind.cameras = map[understudy.CameraID]progress{"lobby": {mark: mark, begun: true, moved: time.Minute - 4*time.Second}}
	waiting.cameras = behind.cameras
	waiting.state.Cameras = []understudy.CameraState{{Camera: "lobby", Receiving: true, Waiting: true, Watermark: mark}}
	silent.suspected = time.Minute
	for sentence, w := range map[string]watch{"": well, "to answer a state poll": slow, "the disk is full": full, "behind with camera lobby": behind, "has not answered": silent} {
		s.state.watches = map[understudy.ServerID]*watch{"rec-1": &w}
		if got := s.lag("rec-1"); !strings.Contains(got, sentence) || sentence == "" && got != "" {
			t.Errorf("%q is noticed, want %q", got, sentence)
		}
	}
	s.state.watches = map[understudy.ServerID]*watch{"rec-1": &waiting}
	if got := s.lag("rec-1"); got != "" {
		t.Errorf("a camera that waits for an event lags: %q", got)
	}
}

func TestTheOwnRecorderThatLagsIsNoticed(t *testing.T) {
	m := marks{}
	now := time.Now()
	state := func(after time.Duration, mark time.Duration) understudy.State {
		return understudy.State{At: now.Add(after), Storage: understudy.StorageState{Writable: true},
			Cameras: []understudy.CameraState{{Camera: "lobby", Receiving: true, Watermark: understudy.Watermark{At: now.Add(mark)}}}}
	}
	for _, step := range []struct {
		after, mark time.Duration
		lags        bool
	}{{0, 0, false}, {time.Second, 0, false}, {2 * time.Second, 0, false}, {3 * time.Second, 0, true}, {4 * time.Second, time.Second, false}, {5 * time.Second, time.Second, false}} {
		if got := m.lag(state(step.after, step.mark)); (got != "") != step.lags {
			t.Errorf("after %s: %q", step.after, got)
		}
	}
	mirrored := state(9*time.Second, time.Second)
	mirrored.Cameras[0].Mirrored = true
	if got := m.lag(mirrored); got != "" {
		t.Errorf("a camera that another server records lags: %q", got)
	}
	if got := m.lag(understudy.State{Storage: understudy.StorageState{Sentence: "full"}}); !strings.Contains(got, "full") {
		t.Errorf("a full disk: %q", got)
	}
}
