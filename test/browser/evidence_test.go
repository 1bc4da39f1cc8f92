package browser

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"understudy"
	"understudy/internal/site"
)

// evidence marks an event and locks what is shown, as a person does.
func evidence(t *testing.T, s *site.Site, p *page) {
	t.Helper()
	press := func(label, form string, fields ...string) {
		p.do(chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("section.timeline button")].find((b) => b.textContent.includes("`+label+`")).click()`), chromedp.WaitVisible("dialog form"))
		for i, text := range fields {
			p.do(chromedp.SendKeys(`dialog form label:nth-of-type(`+string(rune('1'+i))+`) input`, text))
		}
		p.do(chromedp.Click("dialog button[type=submit]"), chromedp.WaitNotPresent("dialog"))
		t.Logf("%s: done", form)
	}
	p.do(chromedp.Click(`[data-camera="west"]`), chromedp.WaitVisible("section.timeline"))
	press("Mark", "an event is marked", "door forced")
	press("Lock", "the footage is locked", "case 7", "30")
	events, err := s.Client.Events(t.Context(), understudy.EventQuery{Kind: understudy.EventTrigger})
	if err != nil || len(events) != 1 || events[0].Camera != "west" || events[0].Triggers()[0].Name != "door forced" {
		t.Errorf("the log has %+v, %v", events, err)
	}
	locks, err := s.Client.Locks(t.Context())
	if err != nil || len(locks) != 1 || locks[0].Camera != "west" || locks[0].Reason != "case 7" || locks[0].Owner != s.User || time.Until(locks[0].Until) < 29*24*time.Hour {
		t.Errorf("the locks are %+v, %v", locks, err)
	}
}
