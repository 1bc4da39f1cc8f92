package browser

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestPageThatIsOpenedDuringAnOutage: while nobody can be asked who is signed in, the
// page says what is going on, and goes on by itself when somebody can.
func TestPageThatIsOpenedDuringAnOutage(t *testing.T) {
	s := up(t)
	home := t.TempDir()
	trust(t, home, s.CA)
	p := open(t, chromedp.Env("HOME="+home))
	p.do(unanswered("*://*:*/api/*"), chromedp.Navigate(s.URL), chromedp.WaitVisible(".waiting"))
	p.shot("waiting")
	p.do(unanswered(), chromedp.WaitVisible("input[name=password]"))
	p.signIn(s)
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
