// Package site_test looks at a whole site from outside: real processes, real
// ports, players that know nothing of us.
package site_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// up brings up a site of one recording server with two cameras and a hot standby.
func up(t *testing.T, plain bool) *site.Site {
	t.Helper()
	return upWith(t, plain, site.Layout{
		Recording: []understudy.RecordingServer{{ID: "rec1", HotStandby: "fo1", Merge: understudy.MergePolicy{Grace: 500 * time.Millisecond}}},
		Failover:  []understudy.FailoverServer{{ID: "fo1"}},
		Cameras:   []understudy.Camera{{ID: "north", Home: "rec1"}, {ID: "south", Home: "rec1"}},
	})
}

// upWith brings up a site of rec1 with the cameras north and south.
func upWith(t *testing.T, plain bool, layout site.Layout) *site.Site {
	t.Helper()
	return upOn(t, "", plain, layout)
}

// upOn is upWith on a database; without a DSN it is the file of the management server.
func upOn(t *testing.T, store string, plain bool, layout site.Layout) *site.Site {
	t.Helper()
	if testing.Short() {
		t.Skip("a whole site of real processes takes half a minute; skipped with -short")
	}
	for _, program := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is needed: run scripts/install-test-tools.sh", program)
		}
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "understudy")
	if out, err := exec.Command("go", "build", "-o", binary, "understudy/cmd/understudy").CombinedOutput(); err != nil {
		t.Fatalf("the program could not be built: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	network, release, err := site.TakeNetwork(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	s, err := site.Up(ctx, site.Options{
		Dir: filepath.Join(dir, "site"), Binary: binary, Network: network, Ports: [2]int{8080, 8443}, Plain: plain, Metrics: metricsPort,
		Layout: layout, Store: store,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Down)
	eventually(t, "both cameras to be durable", func(ctx context.Context) bool {
		for _, camera := range []understudy.CameraID{"north", "south"} {
			if recorded(ctx, s, "rec1", camera) < 2*time.Second {
				return false
			}
		}
		return true
	})
	return s
}

// eventually waits for something that is certain to come.
func eventually(t *testing.T, what string, done func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ticker := time.NewTicker(50 * time.Millisecond); !done(ctx); {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for %s in vain", what)
		case <-ticker.C:
		}
	}
}

func recorded(ctx context.Context, s *site.Site, server understudy.ServerID, camera understudy.CameraID) time.Duration {
	segments, err := s.Client.Segments(ctx, server, camera, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), false)
	if err != nil {
		return 0
	}
	var length time.Duration
	for _, segment := range segments {
		length += segment.End.Sub(segment.Start)
	}
	return length
}
