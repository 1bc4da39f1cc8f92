package incident

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// teller writes a log, an event a second.
type teller struct {
	events []understudy.Event
	epochs map[understudy.CameraID]uint64
	salt   string // of the hashes of what comes
}

func (l *teller) add(e understudy.Event) understudy.Event {
	e.Seq = uint64(len(l.events) + 1)
	e.At = noon.Add(time.Duration(e.Seq) * time.Second)
	if e.Sentence == "" {
		e.Sentence = fmt.Sprintf("event %d", e.Seq)
	}
	e.Hash = fmt.Sprintf("%s%d", l.salt, e.Seq)
	l.events = append(l.events, e)
	return e
}

func (l *teller) move(kind understudy.EventKind, home, holder understudy.ServerID, cameras ...understudy.CameraID) understudy.Event {
	if l.epochs == nil {
		l.epochs = map[understudy.CameraID]uint64{}
	}
	e := understudy.Event{Kind: kind, Server: home}
	at := noon.Add(time.Duration(len(l.events)+1) * time.Second)
	e.Decided = at.Add(-3 * time.Millisecond)
	for _, c := range cameras {
		l.epochs[c]++
		e.Changes = append(e.Changes, understudy.Change{Lease: &understudy.Lease{Camera: c, Holder: holder, Epoch: l.epochs[c], Since: at, Sentence: "why " + string(holder)}})
	}
	return l.add(e)
}

func (l *teller) take(home, holder understudy.ServerID, cameras ...understudy.CameraID) understudy.Event {
	return l.move(understudy.EventTakeover, home, holder, cameras...)
}

func (l *teller) back(home understudy.ServerID, cameras ...understudy.CameraID) understudy.Event {
	return l.move(understudy.EventFailback, home, home, cameras...)
}

func (l *teller) order(home understudy.ServerID, o understudy.HandOver) {
	l.add(understudy.Event{Kind: understudy.EventConfig, Server: home, Changes: []understudy.Change{{RecordingServer: &understudy.RecordingServer{ID: home, HandOver: o}}}})
}

// tell reports a milestone, ago before the report.
func (l *teller) tell(kind understudy.MilestoneKind, home, server understudy.ServerID, ago time.Duration, cameras ...understudy.CameraID) {
	at := noon.Add(time.Duration(len(l.events)+1)*time.Second - ago)
	e := understudy.Event{Kind: understudy.EventServer, Server: server}
	if len(cameras) == 0 {
		cameras = []understudy.CameraID{""}
	}
	for _, c := range cameras {
		e.Changes = append(e.Changes, understudy.Change{Milestone: &understudy.Milestone{Kind: kind, Home: home, Server: server, Camera: c, At: at}})
	}
	l.add(e)
}

func (l *teller) conclude(id string, cameras ...understudy.CameraID) {
	e := understudy.Event{Kind: understudy.EventIncident, Sentence: "it cost nothing"}
	for _, c := range cameras {
		e.Changes = append(e.Changes, understudy.Change{Account: &understudy.CameraAccount{Incident: id, Camera: c, Complete: true}})
	}
	l.add(e)
}

// told writes an incident in a line a step, for comparison.
func told(i understudy.Incident) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", i.ID, i.Phase)
	if i.Planned {
		b.WriteString(" planned")
	}
	if i.Drill {
		b.WriteString(" drill")
	}
	for _, c := range i.Cameras {
		fmt.Fprintf(&b, "\n%s:", c.Camera)
		for _, t := range c.Tenures {
			fmt.Fprintf(&b, " %s/%d", t.Server, t.Epoch)
			if !t.Until.IsZero() {
				fmt.Fprintf(&b, " %s", t.Until.Sub(t.Since))
			}
			if !t.Durable.IsZero() {
				b.WriteString(" durable")
			}
			if t.Proven {
				b.WriteString(" proven")
			}
		}
		if c.Account != nil {
			b.WriteString(" counted")
		}
	}
	for _, s := range i.Steps {
		fmt.Fprintf(&b, "\n%.1f %s %s %v", s.At.Sub(noon).Seconds(), s.Kind, s.Server, s.Cameras)
	}
	return b.String()
}

func TestDerive(t *testing.T) {
	for _, c := range []struct {
		name string
		log  func(*teller)
		want []string
	}{
		{"a takeover that goes on", func(l *teller) { l.take("rec1", "fo1", "a", "b") }, []string{
			"rec1-1 standing_in\na: fo1/1\nb: fo1/1\n1.0 decided fo1 [a b]\n1.0 granted fo1 [a b]"}},
		{"the whole of one", func(l *teller) {
			l.take("rec1", "fo1", "a")
			l.tell(understudy.MilestoneDurable, "rec1", "fo1", 500*time.Millisecond, "a")
			l.tell(understudy.MilestoneBack, "rec1", "fo1", 0)
			l.back("rec1", "a")
			l.tell(understudy.MilestoneProven, "rec1", "fo1", 0, "a")
			l.tell(understudy.MilestoneMergeEnded, "rec1", "fo1", 0)
			l.conclude("rec1-1", "a")
		}, []string{"rec1-1 over\na: fo1/1 3s durable proven counted\n1.0 decided fo1 [a]\n1.0 granted fo1 [a]\n1.5 durable fo1 [a]\n3.0 back fo1 []\n" +
			"4.0 failback_decided rec1 [a]\n4.0 failback rec1 [a]\n5.0 proven fo1 [a]\n6.0 merge_ended fo1 []\n7.0 over  []"}},
		{"one camera, then the others: one incident", func(l *teller) {
			l.take("rec1", "fo1", "a")
			l.take("rec1", "fo1", "b")
			l.back("rec1", "a")
			l.back("rec1", "b")
		}, []string{"rec1-1 coming_home\na: fo1/1 2s\nb: fo1/1 2s\n1.0 decided fo1 [a]\n1.0 granted fo1 [a]\n2.0 decided fo1 [b]\n2.0 granted fo1 [b]\n" +
			"3.0 failback_decided rec1 [a]\n3.0 failback rec1 [a]\n4.0 failback_decided rec1 [b]\n4.0 failback rec1 [b]"}},
		{"a failover server that is replaced while it stands in", func(l *teller) {
			l.take("rec1", "fo1", "a")
			l.take("rec1", "fo2", "a")
			l.tell(understudy.MilestoneDurable, "rec1", "fo2", 0, "a")
			l.back("rec1", "a")
		}, []string{"rec1-1 coming_home\na: fo1/1 1s fo2/2 2s durable\n1.0 decided fo1 [a]\n1.0 granted fo1 [a]\n2.0 decided fo2 [a]\n2.0 granted fo2 [a]\n" +
			"3.0 durable fo2 [a]\n4.0 failback_decided rec1 [a]\n4.0 failback rec1 [a]"}},
		{"two recording servers at once: two incidents", func(l *teller) {
			l.take("rec1", "fo1", "a")
			l.take("rec2", "fo1", "b")
			l.tell(understudy.MilestoneBack, "rec2", "fo1", 0)
		}, []string{"rec1-1 standing_in\na: fo1/1\n1.0 decided fo1 [a]\n1.0 granted fo1 [a]",
			"rec2-2 standing_in\nb: fo1/1\n2.0 decided fo1 [b]\n2.0 granted fo1 [b]\n3.0 back fo1 []"}},
		{"again, while footage of the first one is on its way", func(l *teller) {
			l.take("rec1", "fo1", "a")
			l.back("rec1", "a")
			l.take("rec1", "fo1", "a")
			l.conclude("rec1-1", "a")
		}, []string{"rec1-1 over\na: fo1/1 1s counted\n1.0 decided fo1 [a]\n1.0 granted fo1 [a]\n2.0 failback_decided rec1 [a]\n2.0 failback rec1 [a]\n4.0 over  []",
			"rec1-3 standing_in\na: fo1/3\n3.0 decided fo1 [a]\n3.0 granted fo1 [a]"}},
		{"what was seen before it was granted, and told before", func(l *teller) {
			l.tell(understudy.MilestoneDurable, "rec1", "fo1", 0, "a")
			l.tell(understudy.MilestoneLeaving, "rec1", "fo1", 0)
			l.take("rec1", "fo1", "a")
		}, []string{"rec1-3 standing_in planned\na: fo1/1 durable\n1.0 durable fo1 [a]\n2.0 leaving fo1 []\n3.0 decided fo1 [a]\n3.0 granted fo1 [a]"}},
		{"a camera that is deleted, and one whose epoch is raised", func(l *teller) {
			l.take("rec1", "fo1", "a", "b")
			l.move(understudy.EventConfig, "", "fo1", "b")
			l.add(understudy.Event{Kind: understudy.EventConfig, Changes: []understudy.Change{{GoneCamera: "a"}}})
			l.back("rec1", "b")
		}, []string{"rec1-1 coming_home\na: fo1/1 2s\nb: fo1/2 3s\n1.0 decided fo1 [a b]\n1.0 granted fo1 [a b]\n4.0 failback_decided rec1 [b]\n4.0 failback rec1 [b]"}},
		{"a drill by order, which is recalled", func(l *teller) {
			l.order("rec1", understudy.HandOver{To: "fo1", Since: noon, Drill: true})
			l.take("rec1", "fo1", "a")
			l.order("rec1", understudy.HandOver{})
			l.back("rec1", "a")
			l.take("rec1", "fo1", "a")
		}, []string{"rec1-2 coming_home planned drill\na: fo1/1 2s\n1.0 ordered  []\n2.0 decided fo1 [a]\n2.0 granted fo1 [a]\n3.0 recalled  []\n4.0 failback_decided rec1 [a]\n4.0 failback rec1 [a]",
			"rec1-5 standing_in\na: fo1/3\n5.0 decided fo1 [a]\n5.0 granted fo1 [a]"}},
		{"what is durable is of the incident that went on then, not of the next", func(l *teller) {
			l.take("rec1", "fo1", "a")
			l.tell(understudy.MilestoneDurable, "rec1", "fo1", 0, "a")
			l.back("rec1", "a")
			l.take("rec1", "fo1", "a")
		}, []string{"rec1-1 coming_home\na: fo1/1 2s durable\n1.0 decided fo1 [a]\n1.0 granted fo1 [a]\n2.0 durable fo1 [a]\n3.0 failback_decided rec1 [a]\n3.0 failback rec1 [a]",
			"rec1-4 standing_in\na: fo1/3\n4.0 decided fo1 [a]\n4.0 granted fo1 [a]"}},
		{"a failback whose takeover is forgotten", func(l *teller) { l.back("rec1", "a") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l teller
			c.log(&l)
			var got []string
			for _, i := range Derive(l.events) {
				got = append(got, told(i))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n\n"), strings.Join(c.want, "\n\n"))
			}
		})
	}
}

// A takeover that was decided and carried out without the management server is
// told when it was decided, and says that it was granted later.
func TestDeriveProvisional(t *testing.T) {
	var l teller
	l.take("rec1", "fo1", "a")
	l.events[0].Decided = noon.Add(-5 * time.Minute)
	l.events = append(l.events, understudy.Event{Seq: 2, At: noon.Add(2 * time.Second), Kind: understudy.EventServer, Changes: []understudy.Change{
		{Milestone: &understudy.Milestone{Kind: understudy.MilestoneDurable, Home: "rec1", Server: "fo1", Camera: "a", At: noon.Add(-5*time.Minute + time.Second)}}}})
	i := Derive(l.events)[0]
	if !i.Begun.Equal(noon.Add(-5*time.Minute)) || i.Cameras[0].Tenures[0].Durable.IsZero() || !strings.Contains(i.Steps[2].Sentence, "without the management server's word") {
		t.Errorf("the incident began with its decision, is %+v", i)
	}
}

// One that was decided long before it could be claimed was decided then, not
// when the management server was back and home was found silent once more; the
// reports of that time stand before the grant.
func TestDeriveDecidedWithNobodyToAsk(t *testing.T) {
	var l teller
	hour := time.Hour
	l.tell(understudy.MilestoneDecided, "rec1", "fo1", hour, "a")
	l.tell(understudy.MilestoneDurable, "rec1", "fo1", hour-time.Second, "a")
	l.take("rec1", "fo1", "a", "b")
	claim := &l.events[2]
	claim.Changes = append(claim.Changes, understudy.Change{Milestone: &understudy.Milestone{Kind: understudy.MilestoneHeard, Home: "rec1", Server: "fo1", At: noon.Add(-hour)}})
	i := Derive(l.events)[0]
	a, b := i.Cameras[0].Tenures[0], i.Cameras[1].Tenures[0]
	if decided := l.events[0].At.Add(-hour); !i.Begun.Equal(noon.Add(-hour)) || !a.Decided.Equal(decided) || !a.Durable.Equal(l.events[1].At.Add(time.Second-hour)) {
		t.Errorf("it began %s and was decided %s, durable %s", i.Begun, a.Decided, a.Durable)
	}
	if !b.Decided.Equal(claim.Decided) {
		t.Errorf("the other camera was decided with the claim, %s, not %s", claim.Decided, b.Decided)
	}
	var kinds []string
	for _, s := range i.Steps {
		kinds = append(kinds, s.Kind)
	}
	if want := []string{"heard", "decided", "durable", "decided", "granted"}; !slices.Equal(kinds, want) {
		t.Errorf("the steps are %v, want %v", kinds, want)
	}
	l.back("rec1", "a", "b")
	l.tell(understudy.MilestoneDecided, "rec1", "fo1", 0, "a") // without a grant it is nobody's tenure
	if again := Derive(l.events)[0].Cameras[0].Tenures; len(again) != 1 || !again[0].Decided.Equal(a.Decided) {
		t.Errorf("the tenures are %+v", again)
	}
}

// A takeover that ended before the management server was back moved no lease,
// and is told afterwards by what the server that stood in reports then.
func TestDeriveEndedBeforeAnybodyCouldBeTold(t *testing.T) {
	var l teller
	hour := time.Hour
	l.tell(understudy.MilestoneDecided, "rec1", "fo1", hour, "a", "b")
	if all := Derive(l.events); len(all) != 0 {
		t.Errorf("what goes on still will be granted, and is told then: %+v", all)
	}
	l.tell(understudy.MilestoneDurable, "rec1", "fo1", hour-time.Second, "a", "b")
	l.tell(understudy.MilestoneProven, "rec1", "fo1", hour-20*time.Second, "a")
	l.tell(understudy.MilestoneReleased, "rec1", "fo1", hour-30*time.Second, "b")
	l.tell(understudy.MilestoneMergeEnded, "rec1", "fo1", hour-40*time.Second)
	l.take("rec1", "fo1", "a") // another day
	l.tell(understudy.MilestoneProven, "rec1", "fo1", 0, "a")
	all := Derive(l.events)
	if len(all) != 2 {
		t.Fatalf("there were two, and told are %+v", all)
	}
	want := "rec1-1 coming_home\na: fo1/0 22s durable proven\nb: fo1/0 33s durable\n-3599.0 decided fo1 [a b]\n-3597.0 durable fo1 [a b]\n" +
		"-3577.0 proven fo1 [a]\n-3566.0 released fo1 [b]\n-3555.0 merge_ended fo1 []"
	if got := told(all[0]); got != want {
		t.Errorf("told is\n%s\nwant\n%s", got, want)
	}
	if i := all[0]; !i.Cameras[0].Tenures[0].Provisional || !strings.Contains(i.Sentence, "no lease moved") || !i.Back.Equal(i.Steps[3].At) {
		t.Errorf("it says of itself: %+v", i)
	}
	if got := told(all[1]); got != "rec1-6 standing_in\na: fo1/1 proven\n6.0 decided fo1 [a]\n6.0 granted fo1 [a]\n7.0 proven fo1 [a]" {
		t.Errorf("the next one is\n%s", got)
	}
	l.conclude("rec1-1", "a", "b")
	if i := Derive(l.events)[0]; i.Phase != understudy.IncidentOver || i.Cameras[1].Account == nil {
		t.Errorf("it was counted, and is %+v", i)
	}
}

// TestDeriveAnyLog: whatever leases do, an incident's cameras are those that
// others held, each camera is held by others exactly while an incident that
// stands in says so, and reading on changes only what goes on.
func TestDeriveAnyLog(t *testing.T) {
	homes := map[understudy.CameraID]understudy.ServerID{"a": "rec1", "b": "rec1", "c": "rec2", "d": "rec2"}
	cameras := []understudy.CameraID{"a", "b", "c", "d"}
	rapid.Check(t, func(r *rapid.T) {
		var l teller
		holders := map[understudy.CameraID]understudy.ServerID{}
		for range rapid.IntRange(1, 40).Draw(r, "events") {
			camera := rapid.SampledFrom(cameras).Draw(r, "camera")
			home := homes[camera]
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0, 1:
				holder := rapid.SampledFrom([]understudy.ServerID{"fo1", "fo2"}).Draw(r, "holder")
				l.take(home, holder, camera)
				holders[camera] = holder
			case 2:
				l.back(home, camera)
				delete(holders, camera)
			case 3:
				kind := rapid.SampledFrom([]understudy.MilestoneKind{understudy.MilestoneDurable, understudy.MilestoneBack, understudy.MilestoneProven, understudy.MilestoneMergeEnded, understudy.MilestoneHeard, understudy.MilestoneDecided, understudy.MilestoneReleased}).Draw(r, "kind")
				l.tell(kind, home, "fo1", time.Duration(rapid.IntRange(0, 60_000).Draw(r, "ago"))*time.Millisecond, camera)
			}
			check(r, Derive(l.events), homes, holders)
		}
	})
}

func check(r *rapid.T, all []understudy.Incident, homes map[understudy.CameraID]understudy.ServerID, holders map[understudy.CameraID]understudy.ServerID) {
	held := map[understudy.CameraID]understudy.ServerID{}
	ids := map[string]bool{}
	for _, i := range all {
		if ids[i.ID] {
			r.Fatalf("two incidents are named %s", i.ID)
		}
		ids[i.ID] = true
		if (i.Phase == understudy.IncidentStandingIn) != i.Back.IsZero() || i.Sentence == "" {
			r.Fatalf("an incident stands in until home has all back: %+v", i)
		}
		if !slices.IsSortedFunc(i.Steps, func(a, b understudy.IncidentStep) int { return a.At.Compare(b.At) }) {
			r.Fatalf("the steps are not in order: %+v", i.Steps)
		}
		for _, c := range i.Cameras {
			if homes[c.Camera] != i.Home || len(c.Tenures) == 0 {
				r.Fatalf("camera %s is in an incident of %s with %d tenures", c.Camera, i.Home, len(c.Tenures))
			}
			for n, tenure := range c.Tenures {
				if open := tenure.Until.IsZero(); open && n < len(c.Tenures)-1 {
					r.Fatalf("a tenure before the last one goes on: %+v", c.Tenures)
				} else if open {
					if held[c.Camera] != "" {
						r.Fatalf("two incidents hold camera %s", c.Camera)
					}
					held[c.Camera] = tenure.Server
				}
			}
		}
	}
	for camera := range homes {
		if held[camera] != holders[camera] {
			r.Fatalf("camera %s is held by %q, and the incidents say %q", camera, holders[camera], held[camera])
		}
	}
}
