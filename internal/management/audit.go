package management

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"understudy"
)

// chain is the key under which each event is bound to the one before it: who can write
// to the database and not read the key cannot change or remove an event without a trace.
// What is cut off at the end, together with the log's own row, is missed by who has kept the
// end elsewhere (anchor.go).
type chain []byte

// next is the hash of an event that follows one of the hash before. It is of the event's
// JSON, which must stay as it is for events that were written: a field that is new in a
// later version is left out while it is empty.
func (c chain) next(before string, e understudy.Event) (string, error) {
	e.Hash = ""
	text, err := json.Marshal(e)
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInternal, "an event could not be written as JSON: %w", err)
	}
	mac := hmac.New(sha256.New, c)
	mac.Write([]byte(before + "\n"))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// was is what the changes replace or remove, as it is before them.
func was(site understudy.Site, changes []understudy.Change) []understudy.Change {
	var before []understudy.Change
	for _, c := range changes {
		if old, ok := replaced(site, c); ok {
			before = append(before, old)
		}
	}
	return before
}

func replaced(site understudy.Site, c understudy.Change) (understudy.Change, bool) {
	switch {
	case c.Camera != nil:
		return wasCamera(site.Camera(c.Camera.ID))
	case c.GoneCamera != "":
		return wasCamera(site.Camera(c.GoneCamera))
	case c.RecordingServer != nil:
		return wasRecordingServer(site.RecordingServer(c.RecordingServer.ID))
	case c.FailoverServer != nil:
		return wasFailoverServer(site.FailoverServer(c.FailoverServer.ID))
	case c.GoneServer != "":
		if was, ok := wasRecordingServer(site.RecordingServer(c.GoneServer)); ok {
			return was, true
		}
		return wasFailoverServer(site.FailoverServer(c.GoneServer))
	case c.Group != nil:
		return wasGroup(site.Group(c.Group.ID))
	case c.GoneGroup != "":
		return wasGroup(site.Group(c.GoneGroup))
	case c.Lock != nil:
		return wasLock(site.Lock(c.Lock.ID))
	case c.GoneLock != "":
		return wasLock(site.Lock(c.GoneLock))
	case c.CameraGroup != nil:
		return wasCameraGroup(site.CameraGroup(c.CameraGroup.ID))
	case c.GoneCameraGroup != "":
		return wasCameraGroup(site.CameraGroup(c.GoneCameraGroup))
	case c.Role != nil:
		return wasRole(site.Role(c.Role.Name))
	case c.GoneRole != "":
		return wasRole(site.Role(c.GoneRole))
	}
	return understudy.Change{}, false
}

func wasCamera(c understudy.Camera, ok bool) (understudy.Change, bool) {
	return understudy.Change{Camera: &c}, ok
}

func wasRecordingServer(r understudy.RecordingServer, ok bool) (understudy.Change, bool) {
	return understudy.Change{RecordingServer: &r}, ok
}

func wasFailoverServer(f understudy.FailoverServer, ok bool) (understudy.Change, bool) {
	return understudy.Change{FailoverServer: &f}, ok
}

func wasGroup(g understudy.FailoverGroup, ok bool) (understudy.Change, bool) {
	return understudy.Change{Group: &g}, ok
}

func wasCameraGroup(g understudy.CameraGroup, ok bool) (understudy.Change, bool) {
	return understudy.Change{CameraGroup: &g}, ok
}

func wasRole(r understudy.SiteRole, ok bool) (understudy.Change, bool) {
	return understudy.Change{Role: &r}, ok
}

func wasLock(l understudy.Lock, ok bool) (understudy.Change, bool) {
	return understudy.Change{Lock: &l}, ok
}

const maxFaults = 100 // that one audit tells of

// VerifyAudit looks through the whole log, from the newest event back to the oldest.
func (m *Management) VerifyAudit(ctx context.Context) (understudy.Audit, error) {
	v := verification{chain: m.chain, anchor: m.anchor, audit: understudy.Audit{Faults: []understudy.AuditFault{}}}
	for more := true; more; {
		err := m.store.View(ctx, func(r Reader) error { // in lots, so that nobody waits for an audit
			lot, err := r.Events(understudy.EventQuery{Before: v.audit.First, Limit: maxEvents})
			if err != nil {
				return err
			}
			if !v.begun {
				if err := v.begin(r, lot); err != nil {
					return err
				}
			}
			more = len(lot) == maxEvents
			return v.look(lot, more)
		})
		if err != nil {
			return v.audit, err
		}
	}
	return v.conclude(), nil
}

// verification is what an audit has found so far.
type verification struct {
	chain  chain
	anchor anchor
	audit  understudy.Audit
	begun  bool
	next   understudy.Event // the oldest that was looked at, whose predecessor comes next
}

// begin compares the newest event with what the log's row says of it.
func (v *verification) begin(r Reader, lot []understudy.Event) error {
	v.begun = true
	end, err := headIn(r)
	if err != nil {
		return err
	}
	newest := understudy.Event{}
	if len(lot) > 0 {
		newest = lot[len(lot)-1]
	}
	v.audit.Last = newest.Seq
	if (head{newest.Seq, newest.Hash}) != end {
		v.fault(end.seq, "the log says that its newest event is %d, and what is found at its end is event %d, or another one of that number", end.seq, newest.Seq)
	}
	if v.anchor == nil {
		return nil
	}
	known, err := headOf(v.anchor)
	if err != nil {
		return err
	}
	missing, err := known.missing(r, newest.Seq)
	if v.audit.Known = known.seq; missing != "" {
		v.fault(known.seq, "%s", missing)
	}
	return err
}

// look takes a lot of events, older than those before. Of the first of all only a first
// event's hash can be told: what came before it has been forgotten.
func (v *verification) look(lot []understudy.Event, more bool) error {
	for i := len(lot) - 1; i >= 0; i-- {
		if v.next.Seq > 0 {
			if err := v.follows(lot[i], v.next); err != nil {
				return err
			}
		}
		v.next, v.audit.First = lot[i], lot[i].Seq
		if v.next.Hash != "" {
			v.audit.Chained = v.next.Seq
		}
	}
	if !more && v.next.Seq == 1 {
		return v.follows(understudy.Event{}, v.next)
	}
	return nil
}

func (v *verification) follows(before, e understudy.Event) error {
	if before.Seq+1 != e.Seq {
		v.fault(e.Seq, "events %d to %d are missing", before.Seq+1, e.Seq-1)
		return nil
	}
	if e.Hash == "" && before.Hash == "" {
		return nil // of an older version
	}
	hash, err := v.chain.next(before.Hash, e)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(hash), []byte(e.Hash)) {
		v.fault(e.Seq, "event %d is not as it was written, or the one before it is not", e.Seq)
	}
	return nil
}

func (v *verification) fault(event uint64, format string, args ...any) {
	if len(v.audit.Faults) < maxFaults {
		v.audit.Faults = append(v.audit.Faults, understudy.AuditFault{Event: event, Sentence: fmt.Sprintf(format, args...)})
	}
}

func (v *verification) conclude() understudy.Audit {
	a := v.audit
	switch {
	case len(a.Faults) > 0:
		a.Sentence = fmt.Sprintf("The log is not as it was written: %s.", a.Faults[0].Sentence)
	case a.Last == 0:
		a.Sentence = "The log is empty."
	case a.Chained == 0:
		a.Sentence = fmt.Sprintf("Events %d to %d were written before events were chained; nothing can be said of them.", a.First, a.Last)
	default:
		a.Sentence = fmt.Sprintf("Events %d to %d are as they were written.", a.Chained, a.Last)
	}
	return a
}
