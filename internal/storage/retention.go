package storage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// Limits bound a camera's footage, besides its age.
type Limits struct {
	Bytes        int64         // kept at most, archived ones included; 0 is no bound
	ArchiveAfter time.Duration // age at which footage moves to the archive; 0 is never
	Priority     int           // of footage that still has to go home: of lower ones, more is given up
}

// Protected is a stretch of a camera's time that retention must treat with care.
type Protected struct {
	From, To time.Time
	Until    time.Time // when that ends; zero is never
	// Locked footage is never deleted. Other is that of events: it outlives its
	// age, and goes last when there is no room.
	Locked bool
	Why    string // for a person
}

// SetLimits says what bounds the footage of a camera. limits must not call the store.
func (s *Store) SetLimits(limits func(understudy.CameraID) Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = limits
}

// SetProtect says what retention must spare of a camera. protect may call the store.
func (s *Store) SetProtect(protect func(understudy.CameraID) []Protected) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.protect = protect
}

// claim is what speaks for keeping a segment.
type claim int

const (
	unclaimed claim = iota
	ofEvent
	locked
)

// protection is what is protected of a camera at one moment.
type protection struct{ locked, events []Protected }

// protectionOf asks what is protected of a camera; mu must not be held.
func (s *Store) protectionOf(camera understudy.CameraID, now time.Time) protection {
	s.mu.Lock()
	protect := s.protect
	s.mu.Unlock()
	if protect == nil {
		return protection{}
	}
	var p protection
	for _, one := range protect(camera) {
		switch {
		case !one.Until.IsZero() && !now.Before(one.Until):
		case one.Locked:
			p.locked = append(p.locked, one)
		default:
			p.events = append(p.events, one)
		}
	}
	p.locked, p.events = joined(p.locked), joined(p.events)
	return p
}

// joined sorts stretches and makes one of those that touch.
func joined(list []Protected) []Protected {
	slices.SortFunc(list, func(a, b Protected) int { return a.From.Compare(b.From) })
	var whole []Protected
	for _, p := range list {
		if n := len(whole); n > 0 && !p.From.After(whole[n-1].To) {
			if p.To.After(whole[n-1].To) {
				whole[n-1].To = p.To
			}
			continue
		}
		whole = append(whole, p)
	}
	return whole
}

func (p protection) of(e *entry) claim {
	switch {
	case touches(p.locked, e):
		return locked
	case touches(p.events, e):
		return ofEvent
	}
	return unclaimed
}

// touches reports whether a segment has a part of one of the joined stretches.
func touches(list []Protected, e *entry) bool {
	i, _ := slices.BinarySearchFunc(list, e.Start, func(p Protected, at time.Time) int { return cmp.Or(p.To.Compare(at), -1) })
	return i < len(list) && list[i].From.Before(e.End)
}

// How far back a look goes that is not thorough, and how often one is.
const (
	dueWindow     = 72 * time.Hour
	thoroughEvery = time.Hour
)

// looks tells when to look thoroughly. It belongs to one goroutine.
type looks struct{ last time.Time }

func (l *looks) thorough(now time.Time) bool {
	if !l.last.IsZero() && now.Sub(l.last) < thoroughEvery {
		return false
	}
	l.last = now
	return true
}

// doomed is a segment that must go, and why.
type doomed struct {
	*entry
	why reason
}

// due returns the closed segments of a camera whose time has come, in the order
// in which they go. It returns none of a camera that belongs elsewhere, and none
// while nobody has said what belongs where. Only a thorough look goes back to days
// whose time came long ago: what is left of them is protected, and to read all of
// that each time would keep the disk busy with nothing.
func (s *Store) due(camera understudy.CameraID, now time.Time, thorough bool) []doomed {
	keep, excess, ok := s.boundsOf(camera)
	if !ok {
		return nil
	}
	var old []*entry
	if keep > 0 {
		since := now.Add(-keep - dueWindow)
		old = s.closed(camera, func(d *day) bool {
			return d.start().Before(now.Add(-keep)) && (thorough || d.start().After(since))
		})
		old = slices.DeleteFunc(old, func(e *entry) bool { return now.Sub(e.End) < keep })
		slices.SortFunc(old, byAge)
	}
	if len(old) == 0 && excess <= 0 {
		return nil
	}
	p := s.protectionOf(camera, now)
	var list []doomed
	going := map[understudy.SegmentID]bool{}
	for _, e := range old {
		if p.of(e) == unclaimed {
			list = append(list, doomed{e, expired})
			going[e.ID] = true
			excess -= e.Size
		}
	}
	if excess <= 0 {
		return list
	}
	rest := s.oldest(camera, excess, func(e *entry) bool { return p.of(e) == unclaimed && !going[e.ID] })
	rest = slices.DeleteFunc(rest, func(e *entry) bool { return going[e.ID] })
	slices.SortFunc(rest, func(a, b *entry) int { return cmp.Or(cmp.Compare(p.of(a), p.of(b)), byAge(a, b)) })
	for _, e := range rest {
		if excess <= 0 || p.of(e) == locked {
			break
		}
		list = append(list, doomed{e, tooMuch})
		excess -= e.Size
	}
	return list
}

// boundsOf returns how old a camera's footage may get and how many bytes it has
// too many; not ok if retention must take nothing of it.
func (s *Store) boundsOf(camera understudy.CameraID) (keep time.Duration, excess int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[camera]
	if c == nil || s.home == nil || s.isForeign(camera) {
		return 0, 0, false
	}
	if limits := s.limitsOf(camera); limits.Bytes > 0 {
		excess = c.bytes + c.remote - limits.Bytes
		for _, d := range c.days {
			for _, e := range d.entries {
				if !e.Closed {
					excess += e.Size
				}
			}
		}
	}
	return s.keepOf(camera), excess, true
}

// oldest returns the closed segments of a camera's first days, of as many days
// as it takes for those that count to have so many bytes.
func (s *Store) oldest(camera understudy.CameraID, bytes int64, counts func(*entry) bool) (list []*entry) {
	for _, one := range s.days(camera) {
		for _, e := range s.closed(camera, func(d *day) bool { return d == one }) {
			list = append(list, e)
			if counts(e) {
				bytes -= e.Size
			}
		}
		if bytes <= 0 {
			break
		}
	}
	return list
}

// keepOf is how old a camera's footage may get; mu is held.
func (s *Store) keepOf(camera understudy.CameraID) time.Duration {
	if s.keep == nil {
		return 0
	}
	return s.keep(camera)
}

// limitsOf is what else bounds a camera's footage; mu is held.
func (s *Store) limitsOf(camera understudy.CameraID) Limits {
	if s.limits == nil {
		return Limits{}
	}
	return s.limits(camera)
}

func byAge(a, b *entry) int { return cmp.Or(a.Start.Compare(b.Start), bySegment(a.ID, b.ID)) }

// deleteDue deletes what has become too old or too much. What is in the archive
// is left to the goroutine that waits for that.
func (f *folder) deleteDue() {
	s, now := f.store, time.Now()
	if !s.knowsHomes() {
		return
	}
	thorough := f.looks.thorough(now)
	for _, camera := range s.Cameras() {
		for _, d := range s.due(camera, now, thorough) {
			if d.folder != f || s.isArchived(d.entry) {
				continue
			}
			if !s.mayGo(camera) {
				break
			}
			if _, err := f.give(d); err != nil {
				f.log.Warn("a segment whose time has come could not be deleted", "segment", d.ID, "err", err)
				return
			}
		}
	}
	s.tell(now)
}

// give deletes a segment and counts it.
func (f *folder) give(d doomed) (size int64, err error) {
	size, err = f.store.remove(d.ID)
	if err == nil && size > 0 {
		f.store.countGone(d, size, f.config.Dir)
	}
	return size, err
}

// mayGo reports whether retention may still take a segment of a camera, which
// may have moved to another home since it was looked at.
func (s *Store) mayGo(camera understudy.CameraID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home != nil && !s.isForeign(camera)
}

func (s *Store) isArchived(e *entry) bool {
	now := s.find(e.ID)
	return now != nil && now.Archived
}

// reason is why a segment was deleted.
type reason string

const (
	expired  reason = "expired"
	tooMuch  reason = "too much"
	noRoom   reason = "no room"
	unmerged reason = "unmerged"
)

// tellEvery is how often it is told what was deleted of a camera for a reason:
// retention deletes for as long as a server runs, and that it does is no news.
// A loss is.
const (
	tellEvery = 24 * time.Hour
	tellLoss  = time.Minute
)

// goneKey is what deleted segments are added up by.
type goneKey struct {
	camera understudy.CameraID
	why    reason
	dir    string // empty where it does not matter
}

// gone adds up what was deleted since it was last told.
type gone struct {
	segments int
	bytes    int64
	from, to time.Time
	told     time.Time
}

// countGone adds a deleted segment to what will be told, and notes the gap.
func (s *Store) countGone(d doomed, size int64, dir string) {
	s.noteRetention(d.ID.Camera, d.Start, d.End)
	s.goneMu.Lock()
	defer s.goneMu.Unlock()
	if s.gone == nil {
		s.gone = map[goneKey]*gone{}
	}
	key := goneKey{camera: d.ID.Camera, why: d.why}
	if d.why == noRoom || d.why == unmerged {
		key.dir = dir
	}
	g := s.gone[key]
	if g == nil {
		g = &gone{}
		s.gone[key] = g
	}
	if g.segments == 0 || d.Start.Before(g.from) {
		g.from = d.Start
	}
	if g.segments == 0 || d.End.After(g.to) {
		g.to = d.End
	}
	g.segments++
	g.bytes += size
	s.retired.add(d.ID, d.why)
}

// tell reports what was deleted, where it is time to.
func (s *Store) tell(now time.Time) {
	for key, g := range s.takeGone(now) {
		s.report(key.camera, g.sentence(key))
	}
}

func (s *Store) takeGone(now time.Time) map[goneKey]gone {
	s.goneMu.Lock()
	defer s.goneMu.Unlock()
	told := map[goneKey]gone{}
	for key, g := range s.gone {
		every := tellEvery
		if key.why == unmerged {
			every = tellLoss
		}
		if g.segments > 0 && now.Sub(g.told) >= every {
			told[key] = *g
			*g = gone{told: now}
		}
	}
	return told
}

func (g gone) sentence(key goneKey) string {
	what := fmt.Sprintf("%s (%d MB) of camera %s from %s to %s", counted(g.segments, "segment"), g.bytes>>20, key.camera, clock(g.from), clock(g.to))
	switch key.why {
	case expired:
		return "retention deleted " + what + ": footage of this camera is kept no longer"
	case tooMuch:
		return "retention deleted " + what + ": the camera had more than it may keep, and the oldest goes first"
	case noRoom:
		return fmt.Sprintf("retention deleted %s to make room in %s, the oldest first", what, key.dir)
	}
	return fmt.Sprintf("FOOTAGE WAS LOST: %s had not gone home and was deleted to make room in %s, as storage.give_up_unmerged allows; add room, or let footage go home sooner", what, key.dir)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// retiredMost bounds how many deleted segments are remembered.
const retiredMost = 10000

// retired remembers what retention deleted last, so that footage that went there
// while its receipt was on its way is not sent again.
type retired struct {
	why   map[understudy.SegmentID]reason
	order []understudy.SegmentID
}

func (r *retired) add(id understudy.SegmentID, why reason) {
	if r.why == nil {
		r.why = map[understudy.SegmentID]reason{}
	}
	if _, ok := r.why[id]; !ok {
		r.order = append(r.order, id)
	}
	r.why[id] = why
	if len(r.order) > retiredMost {
		delete(r.why, r.order[0])
		r.order = r.order[1:]
	}
}

// Retired reports whether retention deleted a segment here, lately, and why. It
// forgets at a restart, and after some thousands.
func (s *Store) Retired(id understudy.SegmentID) (why string, ok bool) {
	s.goneMu.Lock()
	defer s.goneMu.Unlock()
	switch s.retired.why[id] {
	case expired:
		return "it reached the age to which its camera's footage is kept", true
	case tooMuch:
		return "its camera had more footage than it may keep", true
	case noRoom, unmerged:
		return "there was no room for it", true
	}
	return "", false
}
