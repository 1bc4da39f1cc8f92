package management

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"understudy"
)

const (
	maxSentence     = 2000
	maxClaimCameras = 20000
	// keepClaims is how long a repeated claim is answered alike. A claimant
	// repeats within seconds; an hour outlasts any pause of a process that goes on.
	keepClaims = time.Hour
	// maxEpoch is the highest epoch that the names of segments have room for.
	maxEpoch = 9_999_999_999
)

// Claim decides each camera by itself, in one transaction that also writes the
// event and the answer, so that the same claim again gets the same answer.
//
// A camera is granted when it lives at the claim's home, the claimant may stand
// in for that home (or is it), and the epoch it expects is the lease's: the
// compare-and-swap that lets exactly one of several claimants win. Who holds
// the lease already, and knows its epoch, is granted it as it is. A camera that
// its holder is seen recording stays there, if all that speaks against the holder
// is that the claimant does not hear it.
func (m *Management) Claim(ctx context.Context, c understudy.Claim) (understudy.ClaimAnswer, error) {
	if err := validateClaim(c); err != nil {
		return understudy.ClaimAnswer{}, err
	}
	c.Sentence, c.Decided = oneSentence(c.Sentence), c.Decided.UTC().Truncate(time.Microsecond)
	digest, err := digestOf(c)
	if err != nil {
		return understudy.ClaimAnswer{}, err
	}
	seen, err := m.look(ctx, c)
	if err != nil {
		return understudy.ClaimAnswer{}, err
	}
	var answer understudy.ClaimAnswer
	err = m.update(ctx, func(tx *change) error {
		record, known, err := tx.Claim(c.ID)
		switch {
		case err != nil:
			return err
		case known && record.Digest != digest:
			return understudy.Errorf(understudy.CodeConflict, "claim %s was another one; a new claim needs a new id", c.ID)
		case !known:
			if err := entitled(tx.site, c); err != nil {
				return err
			}
			if err := m.awake(); err != nil { // this late: the store may have been waited for
				return err
			}
			if err := tx.tend(); err != nil {
				return err
			}
			if record, err = m.decide(tx, c, digest, seen); err != nil {
				return err
			}
		}
		answer, err = m.answer(tx, c, record)
		return err
	})
	if understudy.CodeOf(err) == understudy.CodeForbidden {
		if err := m.tellRefusal(ctx, c, err.Error()); err != nil {
			return understudy.ClaimAnswer{}, err
		}
	}
	if err != nil {
		return understudy.ClaimAnswer{}, err
	}
	return answer, nil
}

func validateClaim(c understudy.Claim) error {
	if len(c.ID) < 8 || len(c.ID) > 64 || strings.ContainsFunc(c.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return understudy.Errorf(understudy.CodeInvalid, "the id of a claim is 8 to 64 visible ASCII characters, found %.80q", c.ID)
	}
	for _, id := range []understudy.ServerID{c.Claimant, c.Home} {
		if err := understudy.ValidateID("server", id); err != nil {
			return err
		}
	}
	if c.Kind != understudy.ClaimTakeover && c.Kind != understudy.ClaimFailback {
		return understudy.Errorf(understudy.CodeInvalid, "a claim is a takeover or a failback, not %.40q", string(c.Kind))
	}
	if len(c.Cameras) == 0 || len(c.Cameras) > maxClaimCameras {
		return understudy.Errorf(understudy.CodeInvalid, "a claim names 1 to %d cameras, found %d", maxClaimCameras, len(c.Cameras))
	}
	seen := make(map[understudy.CameraID]bool, len(c.Cameras))
	for _, wanted := range c.Cameras {
		if err := understudy.ValidateID("camera", wanted.Camera); err != nil {
			return err
		}
		if seen[wanted.Camera] {
			return understudy.Errorf(understudy.CodeInvalid, "claim %s names camera %s twice", c.ID, wanted.Camera)
		}
		seen[wanted.Camera] = true
	}
	return nil
}

// entitled reports whether the claimant may claim cameras of that home at all.
func entitled(site understudy.Site, c understudy.Claim) error {
	home, ok := site.RecordingServer(c.Home)
	if !ok {
		return understudy.Errorf(understudy.CodeNotFound, "there is no recording server %q", string(c.Home))
	}
	if c.Kind == understudy.ClaimFailback {
		if c.Claimant != c.Home {
			return understudy.Errorf(understudy.CodeForbidden, "only %s takes its cameras back, not %s", c.Home, c.Claimant)
		}
		return nil
	}
	if _, ok := site.FailoverServer(c.Claimant); !ok {
		return understudy.Errorf(understudy.CodeForbidden, "%s is no failover server and cannot take over from %s", c.Claimant, c.Home)
	}
	if standsBy(site, home, c.Claimant) || slices.ContainsFunc(site.Cameras, func(camera understudy.Camera) bool {
		return camera.Home == c.Home && camera.Mirror == c.Claimant
	}) {
		return nil
	}
	return understudy.Errorf(understudy.CodeForbidden, "%s may not stand in for %s: it is neither its mirror or hot standby nor in one of its failover groups, and mirrors no camera of it", c.Claimant, c.Home)
}

// decide grants and refuses, and writes down both.
func (m *Management) decide(tx *change, c understudy.Claim, digest [32]byte, seen atWork) (ClaimRecord, error) {
	record := ClaimRecord{ID: c.ID, Digest: digest, At: tx.now, Granted: []understudy.Lease{}, Refused: []understudy.Refusal{}}
	var changes []understudy.Change
	highest, err := highestEpoch(tx)
	if err != nil {
		return record, err
	}
	room := roomFor(tx.site, c)
	for _, wanted := range byPriority(tx.site, c.Cameras) {
		lease, reason := grant(tx.site, c, wanted, highest, tx.now)
		if reason == "" && lease.Holder != c.Claimant {
			if reason = seen.veto(c, wanted, lease.Holder); reason == "" {
				reason = room.take(wanted.Camera)
			}
		}
		switch {
		case reason != "":
			record.Refused = append(record.Refused, understudy.Refusal{Camera: wanted.Camera, Reason: reason, Lease: lease})
		case lease.Holder == c.Claimant:
			record.Granted = append(record.Granted, lease)
		default:
			// Above every epoch of the site, so that a database that was restored without
			// this grant is found out by the highest that any server has seen (Ratchet).
			lease = understudy.Lease{Camera: wanted.Camera, Holder: c.Claimant, Epoch: highest + 1, Since: tx.now, Sentence: c.Sentence}
			record.Granted = append(record.Granted, lease)
			changes = append(changes, understudy.Change{Lease: &lease})
		}
	}
	if len(changes) > 0 {
		e := movedEvent(c, changes)
		told, err := milestones(c.Claimant, c.Milestones, maxClaimMilestones)
		if err != nil {
			return record, err
		}
		e.Changes = append(e.Changes, told...)
		if err := tx.record(e); err != nil {
			return record, err
		}
	}
	if len(record.Refused) > 0 {
		if err := m.recordRefusal(tx, c, refusedSentence(c, record.Refused)); err != nil {
			return record, err
		}
	}
	if err := tx.ForgetClaims(tx.now.Add(-keepClaims)); err != nil {
		return record, err
	}
	record.Seq = tx.site.Seq
	return record, tx.PutClaim(record)
}

// grant returns the lease as it is, and why the claimant may not have it.
func grant(site understudy.Site, c understudy.Claim, wanted understudy.CameraEpoch, highest uint64, now time.Time) (lease understudy.Lease, reason string) {
	camera, ok := site.Camera(wanted.Camera)
	if !ok {
		return lease, fmt.Sprintf("there is no camera %s", wanted.Camera)
	}
	lease, ok = site.Lease(wanted.Camera)
	switch {
	case !ok:
		return lease, fmt.Sprintf("camera %s has no lease", wanted.Camera)
	case camera.Home != c.Home:
		return lease, fmt.Sprintf("camera %s belongs to %s, not to %s", wanted.Camera, camera.Home, c.Home)
	case c.Kind == understudy.ClaimTakeover && camera.Failover == understudy.SupportNone:
		return lease, fmt.Sprintf("camera %s is set to wait for its home", wanted.Camera)
	case c.Kind == understudy.ClaimTakeover && !slices.Contains(site.Standbys(camera), c.Claimant):
		return lease, fmt.Sprintf("%s is no standby of camera %s", c.Claimant, wanted.Camera)
	case c.Kind == understudy.ClaimTakeover && maintained(site, camera, lease, now):
		home, _ := site.RecordingServer(camera.Home)
		return lease, fmt.Sprintf("%s is %s, and was not handed over", camera.Home, home.Maintenance)
	case wanted.Ordered && lease.Holder == c.Home && !handedTo(site, c, now):
		return lease, fmt.Sprintf("%s is not handed over to %s any more", c.Home, c.Claimant)
	case lease.Epoch != wanted.Epoch:
		return lease, fmt.Sprintf("%s holds camera %s under epoch %d, and the claim expected %d", lease.Holder, wanted.Camera, lease.Epoch, wanted.Epoch)
	case highest >= maxEpoch:
		return lease, fmt.Sprintf("the site has used up its epochs, and camera %s cannot be given to anybody", wanted.Camera)
	}
	return lease, ""
}

// maintained reports whether a camera is at a home that somebody works on, and
// that was not handed over.
func maintained(site understudy.Site, camera understudy.Camera, lease understudy.Lease, now time.Time) bool {
	home, _ := site.RecordingServer(camera.Home)
	return lease.Holder == home.ID && home.Maintenance.Stands(now) && !home.HandOver.Stands(now)
}

// handedTo reports whether an operator has ordered that the claimant plays the home's part.
func handedTo(site understudy.Site, c understudy.Claim, now time.Time) bool {
	home, _ := site.RecordingServer(c.Home)
	return home.HandOver.Stands(now) && home.HandOver.To == c.Claimant
}

func movedEvent(c understudy.Claim, changes []understudy.Change) understudy.Event {
	e := understudy.Event{
		Kind: understudy.EventTakeover, Server: c.Home, Decided: c.Decided, Changes: changes,
		Actor:    understudy.Identity{Server: c.Claimant}.String(),
		Sentence: fmt.Sprintf("%s took over %s of %s: %s", c.Claimant, cameraCount(changes[0].Lease.Camera, len(changes)), c.Home, c.Sentence),
	}
	if c.Kind == understudy.ClaimFailback {
		e.Kind = understudy.EventFailback
		e.Sentence = fmt.Sprintf("%s took back %s: %s", c.Home, cameraCount(changes[0].Lease.Camera, len(changes)), c.Sentence)
	}
	if len(changes) == 1 {
		e.Camera = changes[0].Lease.Camera
	}
	return e
}

// cameraCount names one camera, and counts several.
func cameraCount(first understudy.CameraID, count int) string {
	if count == 1 {
		return "camera " + string(first)
	}
	return fmt.Sprintf("%d cameras", count)
}

func refusedSentence(c understudy.Claim, refused []understudy.Refusal) string {
	return fmt.Sprintf("%s claimed %s of %s and was refused: %s", c.Claimant, cameraCount(refused[0].Camera, len(refused)), c.Home, refused[0].Reason)
}

// answer makes of what was decided what the claimant is told. The assignment is
// made of the cameras as they are now, so that no password is stored in an answer.
func (m *Management) answer(tx *change, c understudy.Claim, record ClaimRecord) (understudy.ClaimAnswer, error) {
	answer := understudy.ClaimAnswer{
		Granted: record.Granted, Refused: record.Refused,
		Assignment: understudy.Assignment{Server: c.Claimant, Seq: record.Seq},
	}
	var cameras []understudy.Camera
	epochs := make(map[understudy.CameraID]uint64, len(record.Granted))
	for _, lease := range record.Granted {
		if camera, ok := tx.site.Camera(lease.Camera); ok {
			cameras = append(cameras, camera)
			epochs[lease.Camera] = lease.Epoch
		}
	}
	assigned, err := m.assign(tx, cameras, func(camera understudy.Camera) understudy.AssignedCamera {
		return understudy.AssignedCamera{
			Camera: camera, Epoch: epochs[camera.ID],
			Record: c.Kind == understudy.ClaimFailback || camera.Failover == understudy.SupportFull,
		}
	})
	answer.Assignment.Cameras = assigned
	return answer, err
}

// tellRefusal writes down a claim that was refused as a whole.
func (m *Management) tellRefusal(ctx context.Context, c understudy.Claim, why string) error {
	return m.update(ctx, func(tx *change) error {
		return m.recordRefusal(tx, c, fmt.Sprintf("%s claimed %s of %s and was refused: %s",
			c.Claimant, cameraCount(c.Cameras[0].Camera, len(c.Cameras)), c.Home, why))
	})
}

// recordRefusal writes down a refusal, unless the same was written a moment ago:
// a claimant asks again with every poll until it has understood.
func (m *Management) recordRefusal(tx *change, c understudy.Claim, sentence string) error {
	if m.refusals.recent(sentence, tx.now) {
		return nil
	}
	tx.refusals = append(tx.refusals, sentence)
	return tx.record(understudy.Event{
		Kind: understudy.EventRefused, Server: c.Home, Decided: c.Decided,
		Actor: understudy.Identity{Server: c.Claimant}.String(), Sentence: oneSentence(sentence),
	})
}

// digestOf tells two claims of one id apart.
func digestOf(c understudy.Claim) ([32]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return [32]byte{}, understudy.Errorf(understudy.CodeInvalid, "the claim cannot be written as JSON: %w", err)
	}
	return sha256.Sum256(text), nil
}

// oneSentence makes a text of another server safe for a log: one line of valid
// UTF-8, of bounded length.
func oneSentence(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence-len("…")], "") + "…"
	}
	if strings.TrimSpace(s) == "" {
		return "no reason was given"
	}
	return s
}
