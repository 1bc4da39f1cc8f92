package recording

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"understudy"
	"understudy/internal/storage"
)

// events are those of all cameras that this server may have to record.
type events struct {
	mu      sync.Mutex
	cameras map[understudy.CameraID]*occasions
	locks   []understudy.Lock
	unread  bool      // nobody could say yet what is locked
	full    time.Time // when as many events may be told at once again
}

// Events that are told on the media port: at once, and for long.
const (
	eventBurst  = 1000
	eventsEvery = 20 * time.Millisecond
)

func (e *events) allow(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	full := e.full
	if full.Before(now) {
		full = now
	}
	if full = full.Add(eventsEvery); full.Sub(now) > eventBurst*eventsEvery {
		return false
	}
	e.full = full
	return true
}

// maxCameras bounds the cameras of which a server remembers events: those of a site.
const maxCameras = 20_000

func (s *Server) occasionsOf(id understudy.CameraID) *occasions {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	o, ok := s.events.cameras[id]
	if !ok {
		o = &occasions{}
		if len(s.events.cameras) < maxCameras {
			s.events.cameras[id] = o
		}
	}
	return o
}

// Trigger takes an event of a camera. Where the camera runs, a note is made of
// it, and footage if its rule says so; where it does not, the event is
// remembered for as long as footage of it would be recorded here after a
// takeover. It does not wait for the disk. CodeNotFound for a camera that is unknown here.
func (s *Server) Trigger(t understudy.Trigger) error {
	if _, known := s.settings(t.Camera); !known {
		return understudy.Errorf(understudy.CodeNotFound, "%s knows no camera %s, of which event %s tells", s.config.ID, t.Camera, t.ID)
	}
	t = s.occasionsOf(t.Camera).add(t)
	if !s.runs(t.Camera) {
		return nil
	}
	return s.config.Store.Note(t.Note(s.config.ID)) // also when it was told before: the first time there may have been no room
}

// runs reports whether a camera is received here, and not only mirrored.
func (s *Server) runs(id understudy.CameraID) bool {
	c, ok := s.find(id)
	return ok && !c.want.Load().mirror
}

// noteOccasions makes notes of the events that were told before the camera ran here.
func (s *Server) noteOccasions(c *camera) {
	if c.want.Load().mirror || !c.noted.CompareAndSwap(false, true) {
		return
	}
	for _, t := range c.occasions.all() {
		if err := s.config.Store.Note(t.Note(s.config.ID)); err != nil {
			c.log.Warn("an event could not be noted", "event", t.ID, "error", err)
		}
	}
}

// waits reports whether the camera is recorded on events and has something to begin with.
func (c *camera) waits() bool {
	want := c.want.Load()
	begun, _ := c.preroll.begun()
	return begun && want.record && want.rule.Mode == understudy.RecordEvents
}

// Buffers reports whether a sample waits in memory for an event of its camera.
func (s *Server) Buffers(id understudy.CameraID, hash understudy.SampleHash) bool {
	c, ok := s.find(id)
	return ok && c.waits() && c.preroll.has(hash)
}

// Busy names the cameras of which an event is being recorded that somebody told
// of, by id: who records them, too, may not know of it.
func (s *Server) Busy() []understudy.CameraID {
	var busy []understudy.CameraID
	now := time.Now()
	for _, c := range *s.cameras.Load() {
		want := c.want.Load()
		if want.record && want.rule.Mode == understudy.RecordEvents && c.occasions.told(want.rule, now) {
			busy = append(busy, c.id)
		}
	}
	return busy
}

// scheduleEvery is how often it is looked whether a window of a schedule is near.
const scheduleEvery = 10 * time.Second

// keepRules begins the events of schedules, forgets events that are over, and
// deletes what was recorded for none, until ctx ends.
func (s *Server) keepRules(ctx context.Context) error {
	ticker := time.NewTicker(scheduleEvery)
	defer ticker.Stop()
	for {
		now := time.Now()
		for _, c := range *s.cameras.Load() {
			s.scheduled(c, now)
			s.discard(ctx, c, now)
		}
		s.expireOccasions(now)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (s *Server) expireOccasions(now time.Time) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	for id, o := range s.events.cameras {
		settings, _ := s.settings(id)
		o.expire(now, settings.Rule)
	}
}

// scheduled tells of the windows of a camera's rule that come before the next look.
func (s *Server) scheduled(c *camera, now time.Time) {
	rule := c.want.Load().rule
	schedule, err := understudy.ParseSchedule(rule.Schedule)
	if err != nil {
		c.log.Error("the schedule of a camera cannot be read", "error", err)
		return
	}
	for _, o := range schedule.Between(now.Add(-rule.After), now.Add(rule.Before+2*scheduleEvery)) {
		t := understudy.Trigger{ID: scheduledID(c.id, o), Camera: c.id, Name: o.Name, At: o.From.UTC(), Until: o.To.UTC()}
		if err := s.Trigger(t); err != nil {
			c.log.Error("a window of a schedule could not begin", "window", o.Name, "error", err)
		}
	}
}

const scheduledPrefix = "schedule-"

// scheduledID is the same wherever a window is looked at.
func scheduledID(camera understudy.CameraID, o understudy.Occurrence) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", camera, o.From.Unix(), o.Name))
	return fmt.Sprintf("%s%x", scheduledPrefix, sum[:12])
}

// discard deletes what was recorded of a camera because the time before an
// event does not fit into memory, when no event has come that needs it. After a
// restart what is left of it stays until its age.
func (s *Server) discard(ctx context.Context, c *camera, now time.Time) {
	rule := c.want.Load().rule
	from, to, ok := c.spill.left(now.Add(-rule.Before - 2*lateness))
	if !ok {
		return
	}
	segments, err := c.store.Segments(ctx, c.id, from, to, false)
	if err != nil {
		return
	}
	for _, segment := range segments {
		if !segment.Closed || segment.ID.Holder != s.config.ID || segment.Start.Before(from) || segment.End.After(to) ||
			s.isEvidence(ctx, c.id, rule, segment) {
			continue
		}
		if err := c.store.Discard(segment.ID); err != nil {
			c.log.Warn("what was recorded for no event could not be deleted", "segment", segment.ID, "error", err)
		}
	}
}

// isEvidence reports whether an event or a lock needs a segment.
func (s *Server) isEvidence(ctx context.Context, id understudy.CameraID, rule understudy.RecordingRule, segment understudy.Segment) bool {
	if s.sparesAll() {
		return true
	}
	for _, l := range s.locks() {
		if l.Camera == id && l.From.Before(segment.End) && l.To.After(segment.Start) {
			return true
		}
	}
	notes, err := s.config.Store.Notes(ctx, id, segment.Start.Add(-maxEvent-rule.After), segment.End.Add(rule.Before))
	if err != nil {
		return true
	}
	for _, o := range s.occasionsOf(id).all() {
		notes = append(notes, o.Note(s.config.ID)) // which the disk may not have yet
	}
	for _, n := range notes {
		if n.Kind == understudy.NoteEvent && rule.Counts(n.Name) &&
			!n.From.Add(-rule.Before).After(segment.End) && !n.To.Add(rule.After).Before(segment.Start) {
			return true
		}
	}
	return false
}

// maxEvent is longer than one event may last.
const maxEvent = 26 * time.Hour

func (s *Server) locks() []understudy.Lock {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	return s.events.locks
}

// setLocks tells which footage stays.
func (s *Server) setLocks(locks []understudy.Lock) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.locks, s.events.unread = locks, false
}

// spareAll makes all footage stay until setLocks tells what is locked.
func (s *Server) spareAll() {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.locks, s.events.unread = nil, true
}

func (s *Server) sparesAll() bool {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	return s.events.unread
}

// farAway is later than any footage.
var farAway = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// protected is what retention must spare of a camera: what is locked, and
// footage of events that is kept longer than the rest.
func (s *Server) protected(id understudy.CameraID) []storage.Protected {
	if s.sparesAll() {
		return []storage.Protected{{To: farAway, Until: farAway, Locked: true,
			Why: "what is locked could not be read here, and the management server has not told it yet"}}
	}
	var spared []storage.Protected
	for _, l := range s.locks() {
		if l.Camera == id {
			spared = append(spared, storage.Protected{From: l.From, To: l.To, Until: l.Until, Locked: true, Why: "locked by " + l.Owner + ": " + l.Reason})
		}
	}
	settings, _ := s.settings(id)
	rule := settings.Rule
	if rule.KeepEvents <= 0 {
		return spared
	}
	notes, err := s.config.Store.Notes(context.Background(), id, time.Time{}, farAway)
	if err != nil {
		s.log.Error("the events of a camera could not be read; what is theirs is deleted like the rest", "camera", id, "error", err)
	}
	for _, n := range notes {
		if n.Kind == understudy.NoteEvent && rule.Counts(n.Name) {
			spared = append(spared, storage.Protected{From: n.From.Add(-rule.Before), To: n.To.Add(rule.After + time.Millisecond), Until: n.To.Add(rule.KeepEvents), Why: n.Name})
		}
	}
	return spared
}
