package recording

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

// Who is to blame for a hole is noted with the cause, from and to.
func TestHolesAreNotedWithTheirCause(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	frames := func(g *gapNotes, from, to float64) {
		for s := from; s < to-1e-9; s += 0.04 {
			g.recorded(at(s))
		}
	}
	look := func(g *gapNotes, now, silent float64, fault string) {
		g.look(at(now), time.Duration(silent*float64(time.Second)), fault, understudy.Hole{}, understudy.Lease{})
	}
	cases := []struct {
		name string
		made *gapNotes
		do   func(*gapNotes)
		want string
	}{
		{"all came", &gapNotes{}, func(g *gapNotes) { frames(g, 0, 10); look(g, 10, 0, "") }, ""},
		{"the camera paused", &gapNotes{}, func(g *gapNotes) { frames(g, 0, 4); frames(g, 5, 8); look(g, 8, 0, "") }, "camera 4-5 the camera sent nothing for 1000 ms"},
		{"the camera went away and came back", &gapNotes{}, func(g *gapNotes) {
			frames(g, 0, 4)
			look(g, 5, 1, "refused")
			look(g, 7, 3, "refused")
			frames(g, 8, 9)
			look(g, 9, 0, "")
		}, "camera 4-8 refused"},
		{"the camera is away", &gapNotes{}, func(g *gapNotes) { frames(g, 0, 4); look(g, 7, 3, "no such host") }, "camera 4-4 no such host"},
		{"the camera had no session left", &gapNotes{}, func(g *gapNotes) {
			frames(g, 0, 4)
			g.saw(true, time.Second)
			look(g, 7, 3, "453")
			frames(g, 9, 10)
			look(g, 10, 0, "")
		}, "session 4-9 the camera had no session left for rec1"},
		{"it had none, and then was away", &gapNotes{}, func(g *gapNotes) {
			frames(g, 0, 4)
			g.saw(true, time.Second)
			g.saw(false, 3*time.Second)
			look(g, 7, 3, "refused")
			frames(g, 9, 10)
			look(g, 10, 0, "")
		}, "camera 4-9 refused"},
		{"another session for this one was given up", &gapNotes{before: at(-3), started: at(-90), why: "given up"}, func(g *gapNotes) {
			g.saw(true, time.Second)
			frames(g, 0, 1)
		}, "session -3-0 the camera had no session left for rec1"},
		{"it stands in, and waited for a session", &gapNotes{standby: true, applied: at(-3)}, func(g *gapNotes) {
			g.saw(true, time.Second)
			frames(g, 0, 1)
		}, "session -3-0 the camera had no session left for rec1; takeover -3-0 rec1 stands in for the camera's home and recorded its first frame"},
		{"this process stood still", &gapNotes{}, func(g *gapNotes) {
			frames(g, 0, 4)
			g.look(at(7), 0, "", understudy.Hole{From: at(3.9), To: at(7)}, understudy.Lease{})
			frames(g, 7, 8)
			look(g, 8, 0, "")
		}, "server 4-7 rec1 itself stood still"},
		{"the disk failed", &gapNotes{}, func(g *gapNotes) {
			frames(g, 0, 4)
			g.failed(understudy.GapDisk, "no room")
			frames(g, 5, 6)
			g.ended()
		}, "disk 4-5 no room"},
		{"the server was dead", &gapNotes{before: at(-20), started: at(-2)}, func(g *gapNotes) { frames(g, 0, 1) }, "server -20-0 rec1 was stopped or dead"},
		{"the server was dead, then the camera", &gapNotes{before: at(-60), started: at(-30), fault: "refused"}, func(g *gapNotes) { frames(g, 0, 1) },
			"camera -30-0 refused; server -60--30 rec1 was stopped or dead"},
		{"other settings", &gapNotes{before: at(-1), started: at(-90), why: "changed"}, func(g *gapNotes) { frames(g, 0, 1) }, "server -1-0 changed"},
		{"not to be recorded for a while", &gapNotes{}, func(g *gapNotes) { frames(g, 0, 4); g.excused(); frames(g, 9, 10); look(g, 10, 0, "") }, ""},
		{"nothing but events is recorded", &gapNotes{}, func(g *gapNotes) { frames(g, 0, 4); g.waits(); look(g, 60, 56, ""); frames(g, 64, 65) }, "rule 4-64 the camera's rule"},
		{"an event follows at once", &gapNotes{}, func(g *gapNotes) { frames(g, 0, 4); g.waits(); frames(g, 4, 5) }, "rule 4-4 the camera's rule"},
		{"no event since the start", &gapNotes{before: at(-60), started: at(-30)}, func(g *gapNotes) { g.waits(); frames(g, 0, 1) },
			"rule -30-0 the camera's rule; server -60--30 rec1 was stopped or dead"},
		{"a takeover", &gapNotes{standby: true, applied: at(-0.3)}, func(g *gapNotes) {
			frames(g, 0, 1)
			g.look(at(1), 0, "", understudy.Hole{}, understudy.Lease{Holder: "rec1", Epoch: 2, Sentence: "home is dead"})
		}, "takeover -0.3-0 home is dead"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			notes := map[string]understudy.Note{}
			g := c.made
			g.server, g.camera, g.note = "rec1", "lobby", func(n understudy.Note) error {
				notes[n.ID] = n
				return n.Validate()
			}
			c.do(g)
			var got []string
			for _, n := range notes {
				got = append(got, fmt.Sprintf("%s %v-%v %s", n.Cause, n.From.Sub(start).Round(time.Millisecond).Seconds(), n.To.Sub(start).Round(time.Millisecond).Seconds(), n.Sentence))
			}
			slices.Sort(got)
			var want []string
			if c.want != "" {
				want = strings.Split(c.want, "; ")
			}
			if !slices.EqualFunc(got, want, strings.HasPrefix) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}
