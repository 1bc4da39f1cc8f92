package incident

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"understudy"
)

//go:embed report.html
var reportText string

var reportPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"moment": func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
	"day":    func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
	"since": func(i understudy.Incident, t time.Time) string {
		return fmt.Sprintf("%+.3f s", t.Sub(i.Begun).Seconds())
	},
	"phase": func(p understudy.IncidentPhase) string { return strings.ReplaceAll(string(p), "_", " ") },
	"kind":  func(k string) string { return strings.ReplaceAll(k, "_", " ") },
	"long":  long,
	"took":  took,
	"line":  line,
	"marks": marks,
	"held": func(c understudy.IncidentCamera) string {
		var names []string
		for _, t := range c.Tenures {
			names = append(names, string(t.Server))
		}
		return strings.Join(names, ", then ")
	},
}).Parse(reportText))

// Report writes an incident as one HTML page, to print or to send: it loads
// nothing and runs nothing. Times are UTC: whoever reads it may be elsewhere.
func Report(w io.Writer, i understudy.Incident) error {
	if err := reportPage.Execute(w, i); err != nil {
		return understudy.Errorf(understudy.CodeInternal, "the report of incident %s could not be written: %w", i.ID, err)
	}
	return nil
}

// took is how long others held the cameras.
func took(i understudy.Incident) string {
	if i.Back.IsZero() {
		return "going on"
	}
	return long(i.Back.Sub(i.Begun))
}

// bar is a stretch of a picture, in thousandths of its width.
type bar struct {
	X, Width float64
	Class    string
	Title    string
}

// minBar is the least width of what must be seen: a gap of some frames in a
// picture of hours.
const minBar = 1.5

func place(i understudy.Incident, from, to time.Time) (x, width float64) {
	whole := max(i.To.Sub(i.From).Seconds(), 0.001)
	at := func(t time.Time) float64 { return min(max(1000*t.Sub(i.From).Seconds()/whole, 0), 1000) }
	x = at(from)
	return x, max(at(to)-x, minBar)
}

// line is the picture of one camera.
func line(i understudy.Incident, c understudy.IncidentCamera) []bar {
	var bars []bar
	for _, s := range c.Spans {
		class := "standby"
		if s.Holder == i.Home {
			class = "home"
		}
		x, width := place(i, s.From, s.To)
		bars = append(bars, bar{x, width, class, fmt.Sprintf("recorded by %s", s.Holder)})
	}
	if c.Account == nil {
		return bars
	}
	for _, g := range c.Account.Gaps {
		if meant(g.Cause) {
			continue
		}
		x, width := place(i, g.From, g.To)
		bars = append(bars, bar{x, width, "gap", fmt.Sprintf("%d ms missing: %s", g.Milliseconds, cause(g.Cause))})
	}
	return bars
}

// marks are the moments that divide the story.
func marks(i understudy.Incident) []bar {
	var bars []bar
	shown := map[string]bool{}
	for _, s := range i.Steps {
		name, ok := map[string]string{"heard": "last answer", "decided": "decision", "back": "home answers", "failback": "failback"}[s.Kind]
		if ok && !shown[name] {
			shown[name] = true
			x, _ := place(i, s.At, s.At)
			bars = append(bars, bar{X: x, Class: s.Kind, Title: name})
		}
	}
	return bars
}
