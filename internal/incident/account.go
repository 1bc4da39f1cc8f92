package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"understudy"
)

// around is how much before and after an incident is looked at: what came
// before its first seam and behind its last.
const around = 10 * time.Second

// further is how much earlier is looked at where home has lost what it had: what
// breaks in a segment that was open reaches back to its beginning, at most.
const further = 2 * time.Minute

// Range returns what is counted of an incident, now.
func Range(i understudy.Incident, now time.Time) (from, to time.Time) {
	to = now
	if !i.Back.IsZero() {
		to = earliest(i.Back.Add(around), now)
		for _, s := range i.Steps { // who stood in records on until home surely does
			if s.Kind == string(understudy.MilestoneProven) || s.Kind == string(understudy.MilestoneReleased) {
				to = latest(to, earliest(s.At.Add(around), now))
			}
		}
	}
	return i.Begun.Add(-around), to
}

// meant says whether nobody failed to record a gap.
func meant(c understudy.GapCause) bool {
	return c == understudy.GapRule || c == understudy.GapRetention
}

// Account says what is missing of one camera in the range of its timeline.
func Account(i understudy.Incident, line understudy.Timeline) understudy.CameraAccount {
	a := understudy.CameraAccount{Incident: i.ID, Camera: line.Camera, From: line.From, To: line.To, Gaps: []understudy.Gap{}, Missing: line.Missing}
	causes := map[understudy.GapCause]bool{}
	var why []string
	for _, g := range broken(i, line) {
		// What is before the first recording, and behind the last one, is no part of it.
		if !g.From.After(line.From) && g.Cause != understudy.GapDamage && len(line.Spans) > 0 {
			continue
		}
		a.Gaps = append(a.Gaps, g)
		if meant(g.Cause) {
			continue
		}
		a.Milliseconds += g.Milliseconds
		if !causes[g.Cause] {
			causes[g.Cause] = true
			why = append(why, cause(g.Cause))
		}
	}
	for n := 1; n < len(line.Spans); n++ {
		// Where something is missing there is nothing to prove.
		if s := line.Spans[n]; s.Holder != line.Spans[n-1].Holder && s.From.Sub(line.Spans[n-1].To) <= time.Millisecond {
			a.Seams++
			if s.Joined {
				a.Proven++
			}
		}
	}
	for _, n := range line.Notes {
		if n.Kind == understudy.NoteStandIn {
			a.StandIns = append(a.StandIns, n)
		}
	}
	a.Complete = a.Milliseconds == 0 && len(a.Missing) == 0 && len(line.Spans) > 0
	a.Sentence = sentence(a, why, len(line.Spans) > 0) + stoodIn(a.StandIns)
	return a
}

// broken are the gaps of a timeline, divided where home had said that it had
// the camera durably: what is missing before that, the takeover did not cost;
// home had it, and has lost it since.
func broken(i understudy.Incident, line understudy.Timeline) (gaps []understudy.Gap) {
	for _, g := range line.Gaps {
		t := promise(i, line, g)
		if t == nil {
			gaps = append(gaps, g)
			continue
		}
		lost := g
		lost.To = earliest(g.To, t.Promised)
		lost.Milliseconds = lost.To.Sub(lost.From).Milliseconds()
		lost.Cause, lost.Epoch = understudy.GapDamage, 0
		lost.Sentence = fmt.Sprintf("%s said before %s stood in that it had this on its disk, and has it no more", i.Home, t.Server)
		gaps = append(gaps, lost)
		if g.From = lost.To; g.From.Before(g.To) {
			g.Milliseconds = g.To.Sub(g.From).Milliseconds()
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// promise returns the tenure at whose beginning home had what is missing where
// a gap begins; nil if there is none.
func promise(i understudy.Incident, line understudy.Timeline, g understudy.Gap) *understudy.Tenure {
	at := slices.IndexFunc(i.Cameras, func(c understudy.IncidentCamera) bool { return c.Camera == line.Camera })
	if at < 0 || meant(g.Cause) {
		return nil
	}
	ends := func(s understudy.Span) bool { return !s.To.After(g.From) && g.From.Sub(s.To) <= time.Millisecond }
	if slices.ContainsFunc(line.Spans, func(s understudy.Span) bool { return s.Holder != i.Home && ends(s) }) {
		return nil // it is of who stood in
	}
	var since time.Time // home had the camera
	for n := range i.Cameras[at].Tenures {
		t := &i.Cameras[at].Tenures[n]
		// A pause of home's from which it came back, before, is what its notes say that it is.
		back := func(s understudy.Span) bool {
			return s.Holder == i.Home && !s.From.Before(g.To) && !s.From.After(t.Promised)
		}
		if t.Promised.After(g.From) && !g.From.Before(since) && !slices.ContainsFunc(line.Spans, back) {
			return t
		}
		since = t.Until
	}
	return nil
}

// reachesBack reports whether what home has lost begins before the timeline does.
func reachesBack(i understudy.Incident, line understudy.Timeline) bool {
	return len(line.Gaps) > 0 && !line.Gaps[0].From.After(line.From) && promise(i, line, line.Gaps[0]) != nil
}

// stoodIn says when the second stream was recorded instead of the main one.
func stoodIn(all []understudy.Note) (text string) {
	for _, n := range all {
		text += fmt.Sprintf("; in less than full quality from %s to %s: %s", n.From.UTC().Format("15:04:05.0"), n.To.UTC().Format("15:04:05.0 MST"), n.Sentence)
	}
	return text
}

func sentence(a understudy.CameraAccount, why []string, recorded bool) string {
	switch {
	case len(a.Missing) > 0 && a.Milliseconds == 0:
		return fmt.Sprintf("cannot be said yet: %s did not answer; nothing is missing of what the others have", join(a.Missing))
	case len(a.Missing) > 0:
		return fmt.Sprintf("cannot be said yet: %s did not answer, and may hold what looks like %d ms missing", join(a.Missing), a.Milliseconds)
	case !recorded:
		return "nothing is recorded of it"
	case a.Milliseconds > 0:
		return fmt.Sprintf("%d ms missing: %s", a.Milliseconds, strings.Join(why, "; "))
	case a.Seams == 0:
		return "complete: one server recorded all of it"
	case a.Proven == a.Seams:
		return "complete: equal samples on both sides of each change of server prove it"
	}
	return fmt.Sprintf("complete by time: no frame is missing by the clocks, but %d of %d changes of server have no equal samples that prove it", a.Seams-a.Proven, a.Seams)
}

func join(list []understudy.ServerID) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return strings.Join(names, " and ")
}

// cause says why a stretch is missing.
func cause(c understudy.GapCause) string {
	switch c {
	case understudy.GapTakeover:
		return "between the last frame of one server and the first of the next"
	case understudy.GapCamera:
		return "the camera was away"
	case understudy.GapSession:
		return "the camera allows too few sessions for two servers"
	case understudy.GapServer:
		return "no server recorded"
	case understudy.GapDisk:
		return "the disk failed or was too slow"
	case understudy.GapDamage:
		return "recorded, and damaged since"
	}
	return "nobody noted why"
}
