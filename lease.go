package understudy

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Lease says who serves a camera now. There is one for each camera; the epoch
// grows by one with each change of holder and never goes back. It fences
// authority only: recording needs no lease.
type Lease struct {
	Camera CameraID  `json:"camera"`
	Holder ServerID  `json:"holder"`
	Epoch  uint64    `json:"epoch"`
	Since  time.Time `json:"since"`
	// Sentence says why the holder is the holder.
	Sentence string `json:"sentence"`
}

// Above returns CodeConflict unless the epoch is higher than the one that the
// camera had.
func (l Lease) Above(had uint64) error {
	if l.Epoch > had {
		return nil
	}
	return Errorf(CodeConflict, "the epoch of camera %s has been %d and may only grow, so it cannot become %d", l.Camera, had, l.Epoch)
}

// ClaimKind says in which direction a claim moves cameras.
type ClaimKind string

// The kinds of claim.
const (
	ClaimTakeover ClaimKind = "takeover" // a failover server takes a failed server's cameras
	ClaimFailback ClaimKind = "failback" // home takes its own cameras back
)

// CameraEpoch is a camera with the epoch that the claimant believes is current.
type CameraEpoch struct {
	Camera CameraID `json:"camera"`
	Epoch  uint64   `json:"epoch"`
	// Lost: the claimant does not hear the holder any more. The management server
	// asks that one itself, and leaves it a camera that it records: later than
	// Written, the newest of its samples that the claimant has heard of.
	Lost    bool      `json:"lost,omitempty" doc:"The reason is that the holder is not heard any more"`
	Written time.Time `json:"written,omitzero" doc:"Capture time of the newest sample of a lost holder that the claimant has heard of"`
	// Ordered: the holder is well, and an operator has ordered that it hands over. It
	// is granted only while the order stands.
	Ordered bool `json:"ordered,omitempty" doc:"The reason is an order to hand over"`
}

// Claim asks for the leases of cameras of one home.
type Claim struct {
	// ID makes a repeated claim harmless: the same id is answered alike.
	ID       string        `json:"id" minLength:"8" maxLength:"64"`
	Claimant ServerID      `json:"claimant"`
	Home     ServerID      `json:"home"`
	Kind     ClaimKind     `json:"kind" enum:"takeover,failback"`
	Cameras  []CameraEpoch `json:"cameras" maxItems:"20000"`
	// Sentence is the decision in words: who saw what, since when, so what.
	Sentence string `json:"sentence" maxLength:"2000"`
	// Decided is when the claimant decided, by its own clock.
	Decided time.Time `json:"decided"`
	// Milestones are what led to it: the last answer, the suspicion.
	Milestones []Milestone `json:"milestones,omitempty" maxItems:"16" doc:"What led to it: the last answer, the suspicion"`
}

// Lost returns the holders of its cameras that the claimant does not hear any more, each once,
// in the order of the cameras' ids.
func (c Claim) Lost(site Site) []ServerID {
	lost := slices.DeleteFunc(slices.Clone(c.Cameras), func(w CameraEpoch) bool { return !w.Lost })
	slices.SortFunc(lost, func(a, b CameraEpoch) int { return cmp.Compare(a.Camera, b.Camera) })
	var holders []ServerID
	for _, w := range lost {
		if l, ok := site.Lease(w.Camera); ok && l.Epoch == w.Epoch && l.Holder != c.Claimant && !slices.Contains(holders, l.Holder) {
			holders = append(holders, l.Holder)
		}
	}
	return holders
}

// Refusal says why one camera of a claim was not granted, and how its lease stands.
type Refusal struct {
	Camera CameraID `json:"camera"`
	Reason string   `json:"reason"`
	Lease  Lease    `json:"lease"`
}

// ClaimAnswer is what came of a claim. The assignment holds all that the
// claimant needs to record the granted cameras.
type ClaimAnswer struct {
	Granted    []Lease    `json:"granted"`
	Refused    []Refusal  `json:"refused"`
	Assignment Assignment `json:"assignment"`
}

// Leases returns the leases of all cameras that the answer speaks of: as they were
// granted, and those that stand in the way of the others.
func (a ClaimAnswer) Leases() Leases {
	leases := make(Leases, 0, len(a.Granted)+len(a.Refused))
	for _, l := range a.Granted {
		leases = append(leases, &l)
	}
	for _, r := range a.Refused {
		leases = append(leases, &r.Lease)
	}
	return leases
}

// LeaseService grants leases by compare-and-swap on the epoch.
type LeaseService interface {
	// Claim decides each camera by itself in one transaction that also writes
	// the event. CodeForbidden if the claimant may not stand in for that home;
	// a stale epoch is a Refusal, not an error, and so is a holder that is only
	// lost to the claimant. When the outcome is unknown, or the authority has stood
	// still itself (CodeUnavailable), repeat the same claim with the same id.
	Claim(ctx context.Context, c Claim) (ClaimAnswer, error)
}
