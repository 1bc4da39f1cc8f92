package browser

import (
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"understudy"
)

// shown is what the page tells of an incident.
type shown struct {
	Phase, Lead       string
	Steps             []string
	Home, StoodIn     int // stretches drawn
	Missing           int
	Cameras, Accounts int
	Tip, Report       string
}

const readIncident = `(() => {
	const all = (selector) => [...document.querySelectorAll("main.incidents article " + selector)];
	const hole = document.querySelector("article svg .hole.takeover");
	hole?.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 400, clientY: 400 }));
	return {
		Phase: document.querySelector("main.incidents article")?.dataset.phase ?? "", Lead: document.querySelector("article .lead")?.textContent ?? "",
		Steps: all(".steps li").map((l) => l.dataset.kind), Home: all("svg .span.home").length, StoodIn: all("svg .span.failover").length,
		Missing: all("svg .hole.takeover").length, Cameras: all("svg text.camera").length, Accounts: all(".accounts tbody tr").length,
		Tip: document.querySelector("article .tip")?.textContent ?? "", Report: document.querySelector("article a.save")?.href ?? "",
	};
})()`

// incident opens the story of what takeover did, and looks whether it tells all of it.
func incident(t *testing.T, p *page) {
	t.Helper()
	p.do(chromedp.Click(`button[data-view="incidents"]`), chromedp.WaitVisible("main.incidents article"))
	var seen shown
	deadline := time.Now().Add(patience)
	for seen.Phase != string(understudy.IncidentOver) {
		if time.Now().After(deadline) {
			p.shot("failed")
			t.Fatalf("waited %s until the incident is over; the page shows %+v", patience, seen)
		}
		time.Sleep(100 * time.Millisecond)
		seen = p.incident()
	}
	for _, kind := range []string{"heard", "decided", "granted", "durable", "back", "failback", "merge_ended", "over"} {
		if !slices.Contains(seen.Steps, kind) {
			t.Errorf("the story lacks the step %q: %v", kind, seen.Steps)
		}
	}
	if seen.Cameras != 3 || seen.Accounts != 3 || seen.StoodIn < 3 || seen.Home < 6 || seen.Missing < 3 || seen.Tip == "" || seen.Lead == "" {
		t.Errorf("the picture must have three cameras, recorded at home, by fo1 and at home, each with the gap of the kill, which says its cause; it is %+v", seen)
	}
	t.Logf("the page tells: %s (tip: %s)", seen.Lead, seen.Tip)
	p.do(chromedp.EmulateViewport(1400, 1290), chromedp.Evaluate[chromedp.Void](`document.querySelector("article .tip").hidden = true`))
	p.shot("incident")
}

func (p *page) incident() shown {
	p.t.Helper()
	seen, err := chromedp.Run(p.ctx, chromedp.Evaluate[shown](readIncident))
	if err != nil {
		p.t.Fatal(err)
	}
	return seen
}
