package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"understudy"
)

// late is from when on a grant is worth a word: the decision was carried out
// without the management server.
const late = 5 * time.Second

// granted says what the management server did with a claim.
func granted(e understudy.Event, holder understudy.ServerID, cameras []understudy.CameraID) string {
	text := fmt.Sprintf("%s holds %s; clients are told to go there", holder, naming(cameras))
	if wait := e.At.Sub(e.Decided); !e.Decided.IsZero() && wait >= late {
		text += fmt.Sprintf(" (%s after the decision: until then it stood in without the management server's word)", long(wait))
	}
	return text
}

// seen says what a milestone tells. An event tells of itself in its sentence;
// what travels with a claim, or is one of many, is put into words here.
func seen(e understudy.Event, m understudy.Milestone, cameras []understudy.CameraID) string {
	switch {
	case m.Kind == understudy.MilestoneHeard:
		return fmt.Sprintf("%s had the last answer of %s", m.Server, m.Home)
	case m.Kind == understudy.MilestoneSuspected:
		return fmt.Sprintf("%s began to suspect %s and asked it again, over fresh connections", m.Server, m.Home)
	case m.Kind == understudy.MilestoneLeaving:
		return fmt.Sprintf("%s had begun to leave on purpose, and recorded on until %s did", m.Home, m.Server)
	case m.Kind == understudy.MilestoneDurable:
		return fmt.Sprintf("the first sample of %s was durable on %s", naming(cameras), m.Server)
	case e.Sentence == "" && m.Kind == understudy.MilestoneProven:
		return fmt.Sprintf("%s puts down %s: others record them, and the last of each is here as well, sample for sample", m.Server, naming(cameras))
	case e.Sentence == "" && m.Kind == understudy.MilestoneReleased:
		return fmt.Sprintf("%s puts down %s: others have recorded them long enough beside it; no equal samples were found", m.Server, naming(cameras))
	}
	return e.Sentence
}

func standingIn(d *draft) string {
	held := map[understudy.ServerID]bool{}
	for camera := range d.away {
		t := d.cameras[camera].Tenures
		held[t[len(t)-1].Server] = true
	}
	return fmt.Sprintf("%s %s in for %s with %s: %s", servers(held), verb(held, "stands", "stand"), d.Home, counted(len(d.away)), d.verdict)
}

func comingHome(d *draft) string {
	return fmt.Sprintf("%s has its %s back from %s after %s; what was recorded meanwhile goes home",
		d.Home, counted(len(d.cameras)), servers(d.holders), long(d.Back.Sub(d.Begun)))
}

// Conclusion is the sentence of an incident that is over, with its accounts.
func Conclusion(i understudy.Incident, accounts []understudy.CameraAccount) string {
	holders := map[understudy.ServerID]bool{}
	verdict := ""
	for _, c := range i.Cameras {
		for _, t := range c.Tenures {
			holders[t.Server] = true
		}
	}
	for _, s := range i.Steps {
		if s.Kind == "decided" && verdict == "" {
			verdict = s.Sentence
		}
	}
	return fmt.Sprintf("%s stood in for %s with %s for %s (%s); %s",
		servers(holders), i.Home, counted(len(i.Cameras)), long(i.Back.Sub(i.Begun)), verdict, cost(accounts))
}

// cost sums up what an incident cost.
func cost(accounts []understudy.CameraAccount) string {
	worst := understudy.CameraAccount{}
	short, unsure, proven, seams := 0, 0, 0, 0
	for _, a := range accounts {
		if a.Milliseconds > 0 {
			short++
		}
		if len(a.Missing) > 0 {
			unsure++
		}
		if a.Milliseconds > worst.Milliseconds {
			worst = a
		}
		proven, seams = proven+a.Proven, seams+a.Seams
	}
	text := "nothing is missing of " + counted(len(accounts))
	if short > 0 {
		text = fmt.Sprintf("at most %d ms are missing, of camera %s", worst.Milliseconds, worst.Camera)
	}
	if whole := len(accounts) - short; short > 0 && whole > 0 {
		text += fmt.Sprintf("; nothing of %d more", whole)
	}
	switch {
	case seams > 0 && proven == seams:
		which := "every change"
		if short > 0 {
			which = "every other change"
		}
		text += "; " + which + " of server is proven without a loss, by equal samples"
	case seams > 0:
		text += fmt.Sprintf("; %d of %d changes of server are proven without a loss by equal samples, the others by the clocks", proven, seams)
	}
	if unsure > 0 {
		text += fmt.Sprintf("; of %s that cannot be said, because not every server answered", counted(unsure))
	}
	return text
}

func servers(set map[understudy.ServerID]bool) string {
	var names []string
	for id := range set {
		names = append(names, string(id))
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}

func verb(set map[understudy.ServerID]bool, one, several string) string {
	if len(set) == 1 {
		return one
	}
	return several
}

func counted(n int) string {
	if n == 1 {
		return "1 camera"
	}
	return fmt.Sprintf("%d cameras", n)
}

// naming names a few cameras, and counts the rest.
func naming(cameras []understudy.CameraID) string {
	const few = 3
	if len(cameras) > few {
		return counted(len(cameras))
	}
	names := make([]string, len(cameras))
	for i, c := range cameras {
		names[i] = string(c)
	}
	text := "cameras "
	if len(cameras) == 1 {
		text = "camera "
	}
	return text + strings.Join(names, ", ")
}

// long writes a duration as people time a failover.
func long(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
