package metrics

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"understudy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stateOf is a failover server that has all there is to tell: it records lobby for
// rec1, mirrors yard, and sends footage home.
func stateOf(now time.Time) understudy.State {
	return understudy.State{
		Server: "fo1", Role: understudy.RoleFailover, Epoch: 7, CutOff: 2, Short: []understudy.CameraID{"gate"},
		Storage: understudy.StorageState{
			Writable: true, UnmergedSegments: 3, UnmergedBytes: 300,
			Folders: []understudy.FolderState{{Dir: "/disk1", Writable: true, UsedBytes: 1000, FreeBytes: 2000}, {Dir: "/disk2", Sentence: "the disk is full"}},
			Archive: &understudy.ArchiveState{Reachable: true, Bytes: 500, Waiting: 4},
		},
		Cameras: []understudy.CameraState{
			{Camera: "door", Receiving: true, Frames: 5, Fault: "camera door refuses the password"},
			{Camera: "lobby", Epoch: 7, Provisional: true, Receiving: true, Recording: true, Frames: 100, BitsPerSecond: 4_000_000, Run: 1, Watermark: understudy.Watermark{At: now.Add(-time.Minute)}},
			{Camera: "yard", Receiving: true, Mirrored: true, Complete: true, Held: 2_000_000, Frames: 50},
		},
		Seen:      []understudy.Sighting{{Server: "rec2", Age: 250 * time.Millisecond}},
		Transfers: []understudy.Transfer{{From: "fo1", To: "rec1", SegmentsLeft: 3, BytesLeft: 300, BytesPerSecond: 50, Held: 1}},
	}
}

func assignmentOf() understudy.Assignment {
	return understudy.Assignment{Cameras: []understudy.AssignedCamera{
		{Camera: understudy.Camera{ID: "lobby"}, Record: true}, {Camera: understudy.Camera{ID: "door"}, Record: true},
		{Camera: understudy.Camera{ID: "yard"}, Record: true, Mirror: true}, {Camera: understudy.Camera{ID: "live-only"}},
	}}
}

func serverParts() []prometheus.Collector {
	return []prometheus.Collector{NewServer(ServerConfig{
		State: func() understudy.State { return stateOf(time.Now()) }, Assignment: assignmentOf,
		Heard: func() time.Time { return time.Unix(1_800_000_000, 500_000_000) }, RenewAt: func() time.Time { return time.Time{} },
		Waiting: func() int { return 6 },
		Syncs:   func() (uint64, float64, map[float64]uint64) { return 3, 0.5, map[float64]uint64{0.01: 2, 1: 3} },
	})}
}

// siteOf has one recording server, one of whose three cameras is at fo1.
func siteOf() understudy.Site {
	return understudy.Site{
		Seq:     42,
		Cameras: []understudy.Camera{{ID: "door", Home: "rec1"}, {ID: "lobby", Home: "rec1"}, {ID: "yard", Home: "rec1"}},
		Leases: understudy.Leases{{Camera: "door", Holder: "rec1", Epoch: 1}, {Camera: "lobby", Holder: "fo1", Epoch: 7, Since: time.Unix(1_800_000_000, 0)},
			{Camera: "yard", Holder: "rec1", Epoch: 1}},
		RecordingServers: []understudy.RecordingServer{{ID: "rec1"}},
		FailoverServers:  []understudy.FailoverServer{{ID: "fo1"}},
		Locks:            []understudy.Lock{{ID: "l1"}},
	}
}

func siteParts(feed understudy.Feed) ([]prometheus.Collector, *Requests, *Log) {
	requests, log := NewRequests(), NewLog(feed, slog.New(slog.DiscardHandler))
	state := stateOf(time.Now())
	notifications := NewNotifications(func() []Notification {
		return []Notification{{Target: "operators", Sent: 5, Failed: 2, Dropped: 3, Waiting: 1}}
	})
	return []prometheus.Collector{requests, log, notifications, NewClients(func() int { return 12 }), NewSite(SiteConfig{
		Site: func() (understudy.Site, bool) { return siteOf(), true },
		Status: func() []understudy.ServerStatus {
			return []understudy.ServerStatus{{Server: "fo1", Reachable: true, State: &state}}
		},
		Preflights: func(context.Context) ([]understudy.Preflight, error) {
			return []understudy.Preflight{{Server: "fo1", At: time.Unix(1_800_000_000, 0), Cameras: 3, Reached: 2,
				Findings: []understudy.Finding{{About: understudy.AboutCamera, Red: true}, {About: understudy.AboutDisk}}}}, nil
		},
	})}, requests, log
}

// scrape asks as Prometheus does.
func scrape(t *testing.T, parts ...prometheus.Collector) string {
	t.Helper()
	handler := Handler(Config{Role: understudy.RoleFailover, Version: "v1", Parts: parts, Log: slog.New(slog.DiscardHandler),
		Ready: func() (bool, string) { return true, "ready" }}, "")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.Code != http.StatusOK {
		t.Fatalf("%d %v %s", answer.Code, err, text)
	}
	return string(text)
}

// requireLines: each is one of the answer's.
func requireLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			name, _, _ = strings.Cut(name, " ")
			t.Errorf("expected\n%s\nfound\n%s", line, strings.Join(regexp.MustCompile(`(?m)^`+name+`[{ ].*$`).FindAllString(text, -1), "\n"))
		}
	}
}
