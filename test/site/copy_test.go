package site_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/site"
)

// The folder of a recording server is copied and started elsewhere. The copy is refused and told
// of before anybody has revoked anything; the server itself goes on as if nothing had happened.
// The copy records, for who is wrongly taken for one must not lose a picture. A restart is no copy.
func TestACopiedServerIsFound(t *testing.T) {
	s := up(t, false)
	copied, process := startCopy(t, s, "recording", "rec1")
	eventually(t, "the log to tell of the copy", func(ctx context.Context) bool { return len(alarms(ctx, t, s)) > 0 })
	told := alarms(t.Context(), t, s)[0]
	if at := s.Layout.Recording[0].Addresses.State; told.Server != "rec1" || !strings.Contains(told.Sentence, at) || !strings.Contains(told.Sentence, "understudy server replace rec1") {
		t.Errorf("the alarm does not say where the real one is and what to do: %+v", told)
	}
	eventually(t, "the copy to be told why it gets nothing", func(context.Context) bool {
		return strings.Contains(process.LastWords(), "another machine answers as rec1")
	})
	eventually(t, "the copy to record all the same", func(context.Context) bool { return holdsFootage(copied) })

	asking := func(node *identity.Node, boot string) error {
		asker, err := client.New(client.Config{Addresses: []string{s.URL}, TLS: node.ClientTLS, Boot: boot})
		if err != nil {
			t.Fatal(err)
		}
		defer asker.Close()
		_, err = asker.Assignment(t.Context(), "rec1")
		return err
	}
	node, err := identity.LoadNode(filepath.Join(copied, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	if err := asking(node, "a-copy"); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Errorf("a copy is told what to record: %v", err)
	}
	if err := asking(node, bootOf(s, "rec1")); err != nil {
		t.Errorf("the server itself is refused: %v", err)
	}
	if err := process.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	<-process.Gone()

	before, was := alarms(t.Context(), t, s), bootOf(s, "rec1")
	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	real, _ := s.Process("rec1")
	<-real.Gone()
	if err := s.Do(site.CureStart, "rec1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "rec1 to record again", func(ctx context.Context) bool {
		now, err := s.Client.Site(ctx)
		return err == nil && bootOf(s, "rec1") != was && recordsAll(s, "rec1") &&
			!slices.ContainsFunc(now.Leases, func(l *understudy.Lease) bool { return l.Holder != "rec1" })
	})
	if after := alarms(t.Context(), t, s); len(after) != len(before) {
		t.Errorf("a restart was taken for a copy: %+v", after[len(before):])
	}
}

// startCopy starts a copy of all that proves to be a server, on other ports and with another
// folder for footage, as on another machine.
func startCopy(t *testing.T, s *site.Site, command string, id understudy.ServerID) (folder string, process *site.Process) {
	t.Helper()
	real := s.Folder(string(id))
	folder = filepath.Join(t.TempDir(), "copy")
	copyIdentity(t, filepath.Join(real, "identity"), filepath.Join(folder, "identity"))
	text, err := os.ReadFile(filepath.Join(real, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		t.Fatal(err)
	}
	host := fmt.Sprint(settings["hosts"].([]any)[0])
	settings["data"] = folder
	settings["listen"] = map[string]string{"media": host + ":0", "state": host + ":0", "merge": host + ":0"}
	delete(settings, "metrics")
	if text, err = json.Marshal(settings); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := os.ReadFile(filepath.Join(real, "management.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "management.json"), known, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder, start(t, s, "copy of "+string(id), folder, command, "--config", file)
}

// start starts a process of the program that the site runs, until the test ends.
func start(t *testing.T, s *site.Site, name, folder string, args ...string) *site.Process {
	t.Helper()
	running, _ := s.Process("rec1")
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", running.PID()))
	if err != nil {
		t.Fatal(err)
	}
	process := site.NewProcess(name, filepath.Join(folder, "log"), append([]string{program}, args...)...)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Signal(os.Kill) // it may be gone already
		<-process.Gone()
	})
	return process
}

// copyIdentity copies what proves to be a server, readable by its owner only.
func copyIdentity(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil { // which adds to modes
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// alarms are the events that tell of identities in wrong hands.
func alarms(ctx context.Context, t *testing.T, s *site.Site) []understudy.Event {
	t.Helper()
	events, err := s.Client.Events(ctx, understudy.EventQuery{Kind: understudy.EventIdentity, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func statusOf(s *site.Site, id understudy.ServerID) (understudy.State, bool) {
	for _, one := range s.Client.LastStatus() {
		if one.Server == id && one.Reachable && one.State != nil {
			return *one.State, true
		}
	}
	return understudy.State{}, false
}

func bootOf(s *site.Site, id understudy.ServerID) string {
	state, _ := statusOf(s, id)
	return state.Boot
}

func recordsAll(s *site.Site, id understudy.ServerID) bool {
	state, ok := statusOf(s, id)
	return ok && len(state.Cameras) > 0 && !slices.ContainsFunc(state.Cameras, func(c understudy.CameraState) bool { return !c.Recording })
}

// holdsFootage reports whether a segment of some size lies below folder.
func holdsFootage(folder string) bool {
	found := false
	_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".mp4") {
			info, err := entry.Info()
			found = found || err == nil && info.Size() > 10_000 && time.Since(info.ModTime()) < time.Hour
		}
		return nil
	})
	return found
}
