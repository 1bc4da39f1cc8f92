// Package browser looks at the page through Chromium while servers die.
package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"understudy"
	"understudy/internal/site"
)

const (
	patience = 90 * time.Second
	// resumed is promised: pictures move again so long after the failover server's first frame.
	resumed = time.Second
	// found is the same where the page has to find that server by itself.
	found = 2500 * time.Millisecond
	// dark is a mean brightness (of 255) that no picture of the test cameras has.
	dark = 20
)

// layout has the cameras of rec1, whose standby is hot, and of rec2, which nothing happens to.
func layout() site.Layout {
	return site.Layout{
		Recording: []understudy.RecordingServer{{ID: "rec1", HotStandby: "fo1"}, {ID: "rec2"}},
		Failover:  []understudy.FailoverServer{{ID: "fo1"}},
		Cameras: []understudy.Camera{
			{ID: "north", Name: "Plaza, north", Home: "rec1"}, {ID: "south", Name: "Plaza, south", Home: "rec1"},
			{ID: "east", Name: "Plaza, east", Home: "rec1"}, {ID: "west", Name: "Plaza, west", Home: "rec2"},
		},
	}
}

// TestPageDirect: a browser that trusts the installation's CA gets video
// straight from the servers, and goes on by itself when one is killed.
func TestPageDirect(t *testing.T) {
	s := up(t)
	p := openTrusting(t, s)
	takeover(t, s, p, "direct")
	evidence(t, s, p)
	incident(t, p)
}

// TestPageRelayed: one that accepts nothing but the page's own certificate gets
// video through the management server.
func TestPageRelayed(t *testing.T) {
	s := up(t)
	accept := chromedp.Flag("ignore-certificate-errors-spki-list", publicKeyHash(t, s))
	takeover(t, s, open(t, chromedp.Env("HOME="+t.TempDir()), accept), "relayed")
}

// TestPageWithoutManagement: with nobody to tell it, the page finds the server
// that has the picture, while the one that it came from keeps its connection
// and says nothing, and goes back when that one works again and the other puts
// the cameras down.
func TestPageWithoutManagement(t *testing.T) {
	s := up(t)
	p := openTrusting(t, s)
	p.signIn(s)
	p.until("all cameras show pictures", func(all map[string]tile) bool {
		return moved(nil, all, "north", "rec1") && moved(nil, all, "south", "rec1")
	})
	knows(t, s)
	if err := s.Do(site.FaultKill, site.Management); err != nil {
		t.Fatal(err)
	}
	before, hung := p.tiles(), time.Now()
	if err := s.Do(site.FaultHang, "rec1"); err != nil {
		t.Fatal(err)
	}
	p.until("the cameras of rec1 show moving pictures from fo1", func(all map[string]tile) bool {
		return moved(before, all, "north", "fo1") && moved(before, all, "south", "fo1")
	})
	for _, camera := range []understudy.CameraID{"north", "south"} {
		first, shown := firstFrame(t, s, camera, "fo1", hung), time.UnixMilli(p.tiles()[string(camera)].MovedAt)
		t.Logf("%s: hung, first frame of fo1 after %d ms, shown %d ms later", camera, first.Sub(hung).Milliseconds(), shown.Sub(first).Milliseconds())
		if d := shown.Sub(first); d > found {
			t.Errorf("%s shows pictures %s after the failover server's first frame; at most %s is promised", camera, d, found)
		}
	}
	if err := s.Do(site.CureResume, "rec1"); err != nil {
		t.Fatal(err)
	}
	before = p.tiles()
	p.until("the cameras of rec1 come from there again", func(all map[string]tile) bool {
		return moved(before, all, "north", "rec1") && moved(before, all, "south", "rec1")
	})
}

// knows has the site's own client know, from now on, what it needs without a management server.
func knows(t *testing.T, s *site.Site) {
	t.Helper()
	told := make(chan struct{}, 1)
	stop := s.Client.Subscribe(func(understudy.Site, understudy.Update) {
		select {
		case told <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Client.Run(ctx) // ends because it is told to
	}()
	t.Cleanup(func() { stop(); cancel(); <-ended })
	<-told
	if _, err := s.Client.MediaToken(ctx); err != nil {
		t.Fatal(err)
	}
}

func up(t *testing.T) *site.Site {
	t.Helper()
	if os.Getenv("UNDERSTUDY_BROWSER") == "" {
		t.Skip("the page is looked at in Chromium only where UNDERSTUDY_BROWSER=1 says that there is one; make browser does")
	}
	binary, err := filepath.Abs("../../bin/understudy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("the program is needed first, by make build: %v", err)
	}
	dir := t.TempDir()
	s, err := site.Up(t.Context(), site.Options{
		Dir: dir, Binary: binary, Layout: layout(), Network: "127.0.0.", HoldDown: 2 * time.Second,
		Ports: [2]int{understudy.PortHTTP, understudy.PortHTTPS},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Down)
	return s
}

// takeover signs in, kills rec1 under the page and starts it again.
func takeover(t *testing.T, s *site.Site, p *page, path string) {
	p.signIn(s)
	p.until("all cameras show pictures", func(all map[string]tile) bool {
		for _, camera := range s.Layout.Cameras {
			if c := all[string(camera.ID)]; c.State != "live" || c.Frames < 10 || c.Server != string(camera.Home) {
				return false
			}
		}
		return true
	})
	for name, c := range p.tiles() {
		if c.Path != path {
			t.Fatalf("the media of %s are expected to come %s, and come %q", name, path, c.Path)
		}
	}
	p.watch()
	before := p.tiles()
	killed := time.Now()
	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	p.until("the cameras of rec1 show moving pictures from fo1", func(all map[string]tile) bool {
		return moved(before, all, "north", "fo1") && moved(before, all, "south", "fo1")
	})
	for _, camera := range []understudy.CameraID{"north", "south"} {
		c := p.tiles()[string(camera)]
		first := firstFrame(t, s, camera, "fo1", killed)
		shown := time.UnixMilli(c.MovedAt)
		t.Logf("%s: killed, first frame of fo1 after %d ms, shown %d ms later (%s); meanwhile it said %q", camera,
			first.Sub(killed).Milliseconds(), shown.Sub(first).Milliseconds(), c.Path, c.Said)
		if d := shown.Sub(first); d > resumed {
			t.Errorf("%s shows pictures %s after the failover server's first frame; at most %s is promised", camera, d, resumed)
		}
		if c.Path != path {
			t.Errorf("the media of %s are expected to come %s from fo1, too, and come %q", camera, path, c.Path)
		}
	}
	p.shot("takeover")
	before = p.tiles()
	if err := s.Do(site.CureStart, "rec1"); err != nil {
		t.Fatal(err)
	}
	p.until("the cameras of rec1 come from there again", func(all map[string]tile) bool {
		return moved(before, all, "north", "rec1") && moved(before, all, "south", "rec1")
	})
	for name, c := range p.tiles() {
		if c.Darkest < dark {
			t.Errorf("the picture of %s is to stay in its place all the time; it became dark (brightness %.0f)", name, c.Darkest)
		}
		if name == "west" && c.Frames < before[name].Frames+10 {
			t.Errorf("nothing happened to the server of %s, and its picture stood still", name)
		}
	}
}

func moved(before, now map[string]tile, camera, server string) bool {
	c := now[camera]
	return c.State == "live" && c.Server == server && c.Frames >= before[camera].Frames+10
}

// firstFrame returns the capture time of the first frame that a server
// recorded of a camera; it is durable a little later.
func firstFrame(t *testing.T, s *site.Site, camera understudy.CameraID, server understudy.ServerID, since time.Time) time.Time {
	t.Helper()
	line, err := s.Client.Timeline(t.Context(), camera, since.Add(-time.Second), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range line.Spans {
		if span.Holder == server {
			return span.From
		}
	}
	t.Fatalf("nothing of %s was recorded by %s since %s: %+v", camera, server, since, line)
	return time.Time{}
}

// tile is what the page tells of one camera, and what was seen of it since watch.
type tile struct {
	Camera, Server, State, Path, Notice, Said string
	Frames                                    int
	MovedAt                                   int64
	Darkest                                   float64
}

// page is a signed-in page in a browser.
type page struct {
	t   *testing.T
	ctx context.Context
}

func (p *page) signIn(s *site.Site) {
	p.t.Helper()
	p.do(
		chromedp.Navigate(s.URL),
		chromedp.WaitVisible("input[name=name]"),
		chromedp.SendKeys("input[name=name]", s.User),
		chromedp.SendKeys("input[name=password]", string(s.Password)),
		chromedp.Click("button[type=submit]"),
		chromedp.WaitVisible("main.live"),
	)
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.shot("failed")
		p.t.Fatal(err)
	}
}

// watcher notes, in the page, the darkest picture and the last sentence of each tile.
const watcher = `(() => {
	const seen = window.seen = {};
	const small = Object.assign(document.createElement("canvas"), { width: 16, height: 9 });
	const ink = small.getContext("2d", { willReadFrequently: true });
	setInterval(() => document.querySelectorAll(".tile").forEach((tile) => {
		const s = seen[tile.dataset.camera] ??= { darkest: 255, said: "" };
		const still = tile.querySelector("canvas.still");
		ink.clearRect(0, 0, 16, 9);
		ink.drawImage(still.hidden ? tile.querySelector("video") : still, 0, 0, 16, 9);
		const pixels = ink.getImageData(0, 0, 16, 9).data;
		let sum = 0;
		for (let i = 0; i < pixels.length; i += 4) sum += (pixels[i] + pixels[i + 1] + pixels[i + 2]) / 3 * pixels[i + 3] / 255;
		s.darkest = Math.min(s.darkest, sum / (16 * 9));
		const notice = tile.querySelector(".notice");
		if (!notice.hidden) s.said = notice.textContent;
	}), 50);
})()`

func (p *page) watch() {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](watcher))
}

func (p *page) tiles() map[string]tile {
	p.t.Helper()
	list, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]tile](`understudy.tiles().map((t) => ({ ...t, ...window.seen?.[t.camera] }))`))
	if err != nil {
		p.t.Fatal(err)
	}
	all := map[string]tile{}
	for _, c := range list {
		all[c.Camera] = c
	}
	return all
}

// until waits for done, and shows what there is instead when it does not come.
func (p *page) until(what string, done func(map[string]tile) bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !done(p.tiles()) {
		if time.Now().After(deadline) {
			p.shot("failed")
			p.t.Fatalf("waited %s until %s; there is %+v", patience, what, p.tiles())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// shot keeps a picture of the page where UNDERSTUDY_SHOTS names a folder.
func (p *page) shot(name string) {
	dir := os.Getenv("UNDERSTUDY_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s.png", strings.ReplaceAll(p.t.Name(), "/", "-"), name)), png, 0o600)
	}
	if err != nil {
		p.t.Logf("no picture of the page: %v", err)
	}
}
