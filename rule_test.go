package understudy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestAScheduleComesByTheClockOnTheWall(t *testing.T) {
	for _, c := range []struct{ schedule, from, to, want string }{
		{"", "2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z", ""},
		{"open=mon-fri 08:00-18:00", "2026-06-05T00:00:00Z", "2026-06-08T09:00:00Z", // a Friday to a Monday
			"open 2026-06-05T08:00:00Z 10h0m0s, open 2026-06-08T08:00:00Z 10h0m0s"},
		{"night=daily 22:00-06:00", "2026-06-05T03:00:00Z", "2026-06-05T04:00:00Z", "night 2026-06-04T22:00:00Z 8h0m0s"},
		{"a=fri-mon 00:00-24:00; b=wed,thu 00:00-00:00", "2026-06-03T12:00:00Z", "2026-06-05T00:00:01Z",
			"b 2026-06-03T00:00:00Z 24h0m0s, b 2026-06-04T00:00:00Z 24h0m0s, a 2026-06-05T00:00:00Z 24h0m0s"},
		// The clocks of Vienna go forward on 2026-03-29 and back on 2026-10-25.
		{"night=sat 22:00-06:00 Europe/Vienna", "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z", "night 2026-03-28T21:00:00Z 7h0m0s"},
		{"night=sat 22:00-06:00 Europe/Vienna", "2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z", "night 2026-10-24T20:00:00Z 9h0m0s"},
		{"w=sun 10:00-11:00 Europe/Vienna", "2026-03-22T00:00:00Z", "2026-03-30T00:00:00Z",
			"w 2026-03-22T09:00:00Z 1h0m0s, w 2026-03-29T08:00:00Z 1h0m0s"},
	} {
		s, err := ParseSchedule(c.schedule)
		if err != nil {
			t.Errorf("%q: %v", c.schedule, err)
			continue
		}
		from, _ := time.Parse(time.RFC3339, c.from)
		to, _ := time.Parse(time.RFC3339, c.to)
		var got []string
		for _, o := range s.Between(from, to) {
			got = append(got, o.Name+" "+o.From.UTC().Format(time.RFC3339)+" "+o.To.Sub(o.From).String())
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%q from %s to %s comes at %v, want %s", c.schedule, c.from, c.to, got, c.want)
		}
	}
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	for _, text := range []string{"night", "night=", "=mon 08:00-09:00", "n=mon 8:00-09:00", "n=mon 08:00", "n=mon 08:00-25:00",
		"n=monday 08:00-09:00", "n=mon 24:00-06:00", "n=mon 08:00-09:00 Mars/Olympus", "n=mon 08:00-09:00 UTC more", "n=mon 08:00-09:00 Local",
		"n=mon-fri,x 08:00-09:00", strings.Repeat("n=mon 08:00-09:00;", 60) + "n=mon 08:00-09:00"} {
		if s, err := ParseSchedule(text); CodeOf(err) != CodeInvalid || s != nil {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
}

func FuzzSchedule(f *testing.F) {
	f.Add("night=mon-fri,sun 22:00-06:00 Europe/Vienna; b=daily 00:00-24:00")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil {
			return
		}
		from := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
		for _, o := range s.Between(from, from.Add(48*time.Hour)) {
			if o.Name == "" || !o.To.After(from) || o.To.Sub(o.From) > 26*time.Hour {
				t.Errorf("%q comes as %+v", text, o)
			}
		}
	})
}

func TestARuleSaysWhichEventsCount(t *testing.T) {
	for _, c := range []struct {
		rule RecordingRule
		name string
		want bool
	}{
		{RecordingRule{}, "motion", false},
		{RecordingRule{Mode: RecordContinuous}, "motion", false},
		{RecordingRule{Mode: RecordEvents}, "motion", true},
		{RecordingRule{Mode: RecordBoth, Events: "door forced, motion"}, "motion", true},
		{RecordingRule{Mode: RecordBoth, Events: "door forced, motion"}, "door", false},
	} {
		if got := c.rule.Counts(c.name); got != c.want {
			t.Errorf("%+v counts %s: %t", c.rule, c.name, got)
		}
	}
}

func FuzzTrigger(f *testing.F) {
	f.Add([]byte(`{"id":"1","camera":"lobby","name":"door","at":"2026-06-01T00:00:00.123456789Z","data":{"a":1}}`))
	f.Add([]byte(`{"id":"1","camera":"lobby","name":"door","until":"2026-06-01T23:00:00+02:00","data":null}`))
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		var trigger Trigger
		if json.Unmarshal(body, &trigger) != nil {
			return
		}
		settled, err := trigger.Settled(now)
		if err != nil {
			return
		}
		if err := settled.Note("rec").Validate(); err != nil {
			t.Errorf("%s is taken, and makes a bad note: %v", body, err)
		}
		again, err := settled.Settled(now)
		if err != nil || again.At != settled.At || again.Until != settled.Until {
			t.Errorf("%s: settled twice it is %+v, %v", body, again, err)
		}
	})
}

func TestASiteHasTheLocksThatEventsMade(t *testing.T) {
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	lock := Lock{ID: "b", Camera: "lobby", From: at, To: at.Add(time.Hour), Owner: "ada", Reason: "case"}
	first := lock
	first.ID, first.Camera = "a", "yard"
	s := Site{}.Apply(Event{Seq: 1, Changes: []Change{{Lock: &lock}, {Lock: &first}, {Trigger: &Trigger{Camera: "lobby"}}}})
	if len(s.Locks) != 2 || s.Locks[0].ID != "a" {
		t.Fatalf("the locks are %+v", s.Locks)
	}
	if seen := s.Only(func(c CameraID) bool { return c == "lobby" }); len(seen.Locks) != 1 || seen.Locks[0].ID != "b" {
		t.Errorf("who may see lobby sees %+v", seen.Locks)
	}
	if s = s.Apply(Event{Seq: 2, Changes: []Change{{GoneLock: "b"}}}); len(s.Locks) != 1 {
		t.Errorf("after b is gone: %+v", s.Locks)
	}
	if lock.Until = at; !lock.Holds(at.Add(-1)) || lock.Holds(at) {
		t.Error("a lock ends when it says")
	}
}
