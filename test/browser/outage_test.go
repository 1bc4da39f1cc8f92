package browser

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"understudy/internal/site"
)

// TestPageThatIsOpenedDuringAnOutage: while nobody can be asked who is signed in, the
// page says what is going on, and goes on by itself when somebody can.
func TestPageThatIsOpenedDuringAnOutage(t *testing.T) {
	s := up(t)
	p := openTrusting(t, s)
	p.do(unanswered("*://*:*/api/*"), chromedp.Navigate(s.URL), chromedp.WaitVisible(".waiting"))
	p.shot("waiting")
	p.do(unanswered(), chromedp.WaitVisible("input[name=password]"))
	p.signIn(s)
}

// TestPageThatIsOpenedAgainDuringAnOutage: while the management server is dead, a
// browser that showed the cameras before opens the page from what it has kept,
// shows them, and follows a takeover.
func TestPageThatIsOpenedAgainDuringAnOutage(t *testing.T) {
	s := up(t)
	p := openTrusting(t, s)
	p.signIn(s)
	shown := func(server string) func(map[string]tile) bool {
		return func(all map[string]tile) bool {
			return moved(nil, all, "north", server) && moved(nil, all, "south", server) && moved(nil, all, "west", "rec2")
		}
	}
	p.until("all cameras show pictures", shown("rec1"))
	p.remembers()
	if err := s.Do(site.FaultKill, site.Management); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.Navigate(s.URL), chromedp.WaitVisible(".connection[data-connected=false]"))
	p.until("the page shows all cameras again", shown("rec1"))
	p.shot("opened-again")
	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	p.until("the cameras of rec1 show moving pictures from fo1", shown("fo1"))
	if err := s.Do(site.CureStart, site.Management); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.WaitVisible(".connection[data-connected=true]"))
}

// remembers waits until the browser has what it needs to open the page again.
func (p *page) remembers() {
	p.t.Helper()
	var has []string
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var err error
		has, err = chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`(async () => [
			...await caches.keys(), ...(navigator.serviceWorker.controller ? ["worker"] : []),
		])()`, chromedp.EvalAwaitPromise))
		if err != nil {
			p.t.Fatal(err)
		}
		files := slices.ContainsFunc(has, func(name string) bool { return strings.HasPrefix(name, "page-") })
		if files && slices.Contains(has, "known") && slices.Contains(has, "worker") {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited %s until the browser has kept what it needs to open the page again; it has %q", patience, has)
		}
	}
}

// unanswered keeps the browser's requests for some addresses from being answered.
func unanswered(patterns ...string) func(context.Context, *chromedp.Target) (chromedp.Void, error) {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		blocked := network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{}}
		for _, pattern := range patterns {
			blocked.URLPatterns = append(blocked.URLPatterns, &network.BlockPattern{URLPattern: pattern, Block: true})
		}
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		if err == nil {
			_, err = cdp.Call(ctx, target, network.SetBlockedURLs, blocked)
		}
		return chromedp.Void{}, err
	}
}
