package faults_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"understudy"
)

// testCamera runs a process of its own with one camera, cam1, and returns its URL and how to kill it.
func testCamera(t *testing.T, listen string, args ...string) (url string, kill func()) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"testcam", "--listen", listen}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	kill = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	return "rtsp://" + listen + "/cam1", kill
}

// state is what the recording server says of a camera.
func (b *broken) state(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) (understudy.CameraState, bool) {
	list, err := b.Client.Status(ctx)
	if err != nil {
		return understudy.CameraState{}, false
	}
	for _, s := range list {
		if s.Server != server || s.State == nil {
			continue
		}
		for _, c := range s.State.Cameras {
			if c.Camera == camera {
				return c, true
			}
		}
	}
	return understudy.CameraState{}, false
}

// Whatever a camera does, the server says in one sentence what is wrong with
// it, goes on with the others, and nobody takes over for it.
func TestCamerasThatMisbehave(t *testing.T) {
	b := up(t, hot("good"), nil)
	password := understudy.Secret("secret-of-the-camera")
	wrong := understudy.Secret("wrong-secret-sentinel")
	type faulty struct {
		args     []string
		say      string // a part of the sentence
		camera   understudy.Camera
		password *understudy.Secret
	}
	cameras := map[understudy.CameraID]faulty{
		"frozen":   {args: []string{"--misbehave", "freeze"}, say: "sen"},
		"nonsense": {args: []string{"--misbehave", "garbage-sdp"}, say: "descri"},
		"noise":    {args: []string{"--misbehave", "garbage-packets"}, say: "no video"},
		"missing":  {args: []string{"--misbehave", "not-found"}, say: "404"},
		"busy":     {args: []string{"--misbehave", "busy"}, say: "453"},
		"locked":   {args: []string{"--user", "viewer", "--password", string(password)}, say: "401", camera: understudy.Camera{Username: "viewer"}, password: &wrong},
		"away":     {say: "refused"},
	}
	n := 100
	for id, c := range cameras {
		n++
		listen := fmt.Sprintf("%s%d:8554", b.network, n)
		c.camera.ID, c.camera.Home, c.camera.URL = id, "rec1", "rtsp://"+listen+"/cam1"
		if id != "away" {
			testCamera(t, listen, c.args...)
		}
		if _, err := b.Client.PutCamera(t.Context(), c.camera, c.password); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(12 * time.Second)
	for id, c := range cameras {
		b.within(15*time.Second, "a sentence about "+string(id), func(ctx context.Context) bool {
			s, ok := b.state(ctx, "rec1", id)
			return ok && s.Fault != ""
		})
		s, _ := b.state(t.Context(), "rec1", id)
		t.Logf("%s: %s", id, s.Fault)
		if !strings.Contains(s.Fault, c.say) || strings.Contains(s.Fault, "\n") || strings.Contains(s.Fault, string(wrong)) {
			t.Errorf("%s: %q", id, s.Fault)
		}
	}
	if holes := b.account("good"); len(holes) != 0 {
		t.Errorf("the good camera suffered: %v", holes)
	}
	t.Log(b.story())
	now, err := b.Client.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range now.Holders()["fo1"] {
		if c != "frozen" { // which sends for a while to whoever asks
			t.Errorf("fo1 took %s, which it cannot have either", c)
		}
	}
	for _, name := range []string{"rec1", "fo1", "management"} {
		if out, _ := exec.Command("grep", "-c", "-e", string(wrong), b.dir+"/logs/"+name+".log").Output(); strings.TrimSpace(string(out)) != "0" {
			t.Errorf("the log of %s holds a camera's password", name)
		}
	}
}

// A camera that was away is recorded again at once when it is back: within 2 s
// and the wait for its key frame. So is one that takes a single session and
// keeps the slot of a dead one for a while, after that while.
func TestCamerasThatComeBack(t *testing.T) {
	b := up(t, hot("good"), nil)
	listen := []string{b.network + "101:8554", b.network + "102:8554", b.network + "103:8554"}
	args := [][]string{nil, {"--max-sessions", "1", "--session-expiry", "6s"}, nil}
	ids := []understudy.CameraID{"away", "single", "udp"}
	kills := make([]func(), len(ids))
	for i, id := range ids {
		url, kill := testCamera(t, listen[i], args[i]...)
		kills[i] = kill
		c := understudy.Camera{ID: id, Home: "rec1", URL: url}
		if id == "udp" {
			c.Transport = understudy.TransportUDP
		}
		if _, err := b.Client.PutCamera(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
		b.recordsNow(8*time.Second, "rec1", id)
	}
	now, err := b.Client.Site(t.Context())
	if err != nil || len(now.Holders()["rec1"]) != 4 {
		t.Fatalf("rec1 holds %v before anything has happened (%v)", now.Holders(), err)
	}
	kills[0]()
	kills[2]()
	time.Sleep(8 * time.Second)
	testCamera(t, listen[0])
	testCamera(t, listen[2])
	const keyFrame = 2 * time.Second
	t.Logf("away: %s", b.recordsNow(2*time.Second+keyFrame+time.Second, "rec1", "away"))
	t.Logf("udp: %s", b.recordsNow(2*time.Second+keyFrame+time.Second, "rec1", "udp"))
	if now, err = b.Client.Site(t.Context()); err != nil || len(now.Holders()["rec1"]) != 4 {
		t.Errorf("cameras that were away and came back moved: %v (%v)", now.Holders(), err)
	}
	b.do("kill", "rec1")
	b.recordsNow(5*time.Second, "fo1", "good")
	t.Logf("single, on the failover server: %s", b.recordsNow(6*time.Second+keyFrame+3*time.Second, "fo1", "single"))
	b.do("start", "rec1")
	// Nobody has said of it that it allows one session only. So for 65 s what is in home's way may be
	// home's own session of before, and who has the camera keeps it.
	b.within(30*time.Second, "the others to go home", func(ctx context.Context) bool {
		now, err := b.Client.Site(ctx)
		return err == nil && len(now.Holders()["rec1"]) >= 3
	})
	b.recordsNow(5*time.Second, "fo1", "single")
	if t.Failed() {
		t.Log(b.story())
	}
}
