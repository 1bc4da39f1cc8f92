package understudy

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Milestone is a moment of a failover as the server that saw it tells it, with
// the event that carries it: what the leases alone do not say.
type Milestone struct {
	Kind   MilestoneKind `json:"kind"`
	Home   ServerID      `json:"home" doc:"Recording server whose cameras it is about"`
	Server ServerID      `json:"server,omitempty" doc:"That saw or did it"`
	Camera CameraID      `json:"camera,omitempty"`
	At     time.Time     `json:"at" doc:"By that server's clock"`
	// Promised is of a first durable sample: how far home said that it had the camera, before.
	Promised time.Time `json:"promised,omitzero" doc:"Of durable: capture time up to which the home had the camera durably, by its own last answer"`
}

// MilestoneKind is what was seen or done.
type MilestoneKind string

// The kinds of milestone.
const (
	MilestoneHeard      MilestoneKind = "heard"       // the home's last answer before it was stood in for
	MilestoneSuspected  MilestoneKind = "suspected"   // the home was silent for too long, or refused
	MilestoneLeaving    MilestoneKind = "leaving"     // the home leaves on purpose, and records until it is covered
	MilestoneDecided    MilestoneKind = "decided"     // who stands in records a camera, and nobody could be asked for its lease
	MilestoneVeto       MilestoneKind = "veto"        // somebody else sees the home at work: no takeover
	MilestoneDurable    MilestoneKind = "durable"     // the first sample of a camera is durable on who stands in
	MilestoneBack       MilestoneKind = "back"        // the home answers again
	MilestoneWaiting    MilestoneKind = "waiting"     // the home records again and waits until it is steady
	MilestoneProven     MilestoneKind = "proven"      // both recorded the same samples: nothing is lost between them
	MilestoneReleased   MilestoneKind = "released"    // who stood in stops recording, without equal samples
	MilestoneMergeBegun MilestoneKind = "merge_begun" // footage begins to go home
	MilestoneMergeEnded MilestoneKind = "merge_ended" // all of it is home, and deleted where it was made
)

// Incident is the story of cameras that others than their home held: from the
// failure, or the order, until all that was recorded meanwhile is home again.
// It is made of the event log, so that there is no second truth.
type Incident struct {
	ID       string        `json:"id" example:"rec1-42"`
	Home     ServerID      `json:"home"`
	Seq      uint64        `json:"seq" doc:"Event that opened it"`
	Phase    IncidentPhase `json:"phase" enum:"standing_in,coming_home,over"`
	Sentence string        `json:"sentence" doc:"The whole of it so far"`
	// Begun is the home's last answer where that is known, else the decision.
	Begun   time.Time `json:"begun"`
	Back    time.Time `json:"back,omitzero" doc:"When home held all its cameras again"`
	Over    time.Time `json:"over,omitzero" doc:"When all footage was home"`
	Planned bool      `json:"planned,omitempty" doc:"The home left on purpose, or was told to hand over"`
	Drill   bool      `json:"drill,omitempty" doc:"Ordered as a rehearsal"`
	// Cameras by id, and Steps by time.
	Cameras []IncidentCamera `json:"cameras"`
	Steps   []IncidentStep   `json:"steps"`
	// Transfers are under way now.
	Transfers []Transfer `json:"transfers,omitempty"`
	// From and To are the range of the spans.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// IncidentPhase is how far an incident is.
type IncidentPhase string

// The phases of an incident.
const (
	IncidentStandingIn IncidentPhase = "standing_in" // somebody holds cameras of the home
	IncidentComingHome IncidentPhase = "coming_home" // home holds all of them; footage of it lies elsewhere
	IncidentOver       IncidentPhase = "over"
)

// IncidentCamera is what became of one camera.
type IncidentCamera struct {
	Camera  CameraID `json:"camera"`
	Tenures []Tenure `json:"tenures" doc:"Who held it, in order"`
	// Account and Spans are for those who may play its footage.
	Account *CameraAccount `json:"account,omitempty" doc:"What is missing of its footage"`
	Spans   []Span         `json:"spans,omitempty" doc:"What is recorded of it, from a little before to a little after; of one incident only"`
}

// Tenure is one server's time as the holder of a camera that is not its own.
type Tenure struct {
	Server  ServerID  `json:"server"`
	Epoch   uint64    `json:"epoch"`
	Decided time.Time `json:"decided,omitzero" doc:"By that server's clock"`
	Since   time.Time `json:"since" doc:"When it was granted, and clients were told"`
	Until   time.Time `json:"until,omitzero" doc:"When the next holder was granted it"`
	Durable time.Time `json:"durable,omitzero" doc:"When its first sample was durable there"`
	// Provisional: the management server was away all the while, and no lease moved;
	// Since is when it was decided, Until when the camera was put down, and Epoch is 0.
	Provisional bool `json:"provisional,omitempty" doc:"Recorded without a lease: the management server was away all the while"`
	// Promised: what is missing before it was lost at home, later.
	Promised time.Time `json:"promised,omitzero" doc:"Capture time up to which the home had it durably when it was taken over, by its own last answer"`
	// Proven: the next holder and this one recorded the same samples.
	Proven bool `json:"proven,omitempty" doc:"The overlap with the next holder was proven, sample for sample"`
}

// IncidentStep is one moment of the story.
type IncidentStep struct {
	At       time.Time  `json:"at"`
	Kind     string     `json:"kind" doc:"Of the milestone; or ordered, recalled, decided, granted, refused, failback_decided, failback, over"`
	Server   ServerID   `json:"server,omitempty" doc:"That saw or did it"`
	Cameras  []CameraID `json:"cameras,omitempty"`
	Sentence string     `json:"sentence"`
	Seq      uint64     `json:"seq,omitempty" doc:"Event that tells it"`
}

// CameraAccount is what the footage of all servers says of one camera's part in
// an incident.
type CameraAccount struct {
	Incident string    `json:"incident"`
	Camera   CameraID  `json:"camera"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	// Milliseconds that nobody recorded although somebody should have.
	Milliseconds int64 `json:"milliseconds"`
	Gaps         []Gap `json:"gaps" doc:"All of the range, also those that were meant to be"`
	// StandIns are where the second stream was recorded instead of the main one.
	StandIns []Note `json:"stand_ins,omitempty" doc:"Stretches in which the camera's second stream was recorded instead of the main one, and why"`
	// Seams between two holders, and how many of them equal samples prove.
	Seams  int `json:"seams"`
	Proven int `json:"proven"`
	// Complete: nothing is missing, as far as anybody can tell.
	Complete bool       `json:"complete"`
	Missing  []ServerID `json:"missing,omitempty" doc:"Servers that did not answer, so that what they hold is not known"`
	Sentence string     `json:"sentence"`
}

// Only returns the incident as one may see it who sees those cameras; ok is
// false when none of it is left.
func (i Incident) Only(visible func(CameraID) bool) (seen Incident, ok bool) {
	hidden := func(c CameraID) bool { return !visible(c) }
	unsaid := map[string]bool{} // in no sentence either
	for _, c := range i.Cameras {
		if hidden(c.Camera) {
			unsaid[string(c.Camera)] = true
		}
	}
	i.Sentence = withoutNames(i.Sentence, unsaid)
	i.Cameras = slices.DeleteFunc(slices.Clone(i.Cameras), func(c IncidentCamera) bool { return hidden(c.Camera) })
	if len(i.Cameras) == 0 {
		return Incident{}, false
	}
	steps := make([]IncidentStep, 0, len(i.Steps))
	for _, s := range i.Steps {
		all := len(s.Cameras)
		s.Cameras = slices.DeleteFunc(slices.Clone(s.Cameras), hidden)
		s.Sentence = withoutNames(s.Sentence, unsaid)
		if all == 0 || len(s.Cameras) > 0 {
			steps = append(steps, s)
		}
	}
	i.Steps = steps
	i.Transfers = slices.Clone(i.Transfers)
	for n, t := range i.Transfers {
		if t.Camera != "" && hidden(t.Camera) {
			i.Transfers[n].Camera = ""
		}
	}
	return i, true
}

// withoutNames returns a sentence in which other words stand for some ids.
func withoutNames(sentence string, ids map[string]bool) string {
	if len(ids) == 0 {
		return sentence
	}
	inID := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' }
	var b strings.Builder
	for rest := sentence; rest != ""; {
		word := rest[:len(rest)-len(strings.TrimLeftFunc(rest, inID))]
		if ids[word] {
			b.WriteString("(another)")
		} else {
			b.WriteString(word)
		}
		rest = rest[len(word):]
		between := rest[:len(rest)-len(strings.TrimLeftFunc(rest, func(r rune) bool { return !inID(r) }))]
		b.WriteString(between)
		rest = rest[len(between):]
	}
	return b.String()
}

// IncidentService knows the incidents of a site.
type IncidentService interface {
	// Incidents returns the newest incidents, newest first, at most limit (0 is 50),
	// as whoever asks may see them, without accounts of those that go on.
	Incidents(ctx context.Context, limit int) ([]Incident, error)
	// Incident returns one, with the accounts of its cameras as of now.
	// CodeNotFound if there is none of that id that the asker may see.
	Incident(ctx context.Context, id string) (Incident, error)
}
