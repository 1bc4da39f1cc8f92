package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"understudy"
)

// retentionNote is the id of the one note of a camera that says what retention deleted.
const retentionNote = "retention"

var _ understudy.NoteService = (*Store)(nil)

// Note adds a note, or replaces the one of its camera and id. It returns when
// the note is queued and never waits for the disk; it becomes durable with the
// next sync, and Notes tells it from then on. CodeInvalid for a note that is
// none, CodeUnavailable if there is no room for it.
func (s *Store) Note(n understudy.Note) error {
	if err := n.Validate(); err != nil {
		return err
	}
	dropped, err := s.notes.put(inUTC(n), time.Now())
	if dropped > 0 {
		s.log.Warn("a camera has more notes than there is room for, and the oldest were dropped", "camera", n.Camera, "dropped", dropped)
	}
	return err
}

func inUTC(n understudy.Note) understudy.Note {
	n.From, n.To = n.From.UTC().Round(0), n.To.UTC().Round(0)
	return n
}

// Notes implements understudy.NoteService: the durable ones. A gap that goes on
// touches all that follows its beginning.
func (s *Store) Notes(_ context.Context, camera understudy.CameraID, from, to time.Time) ([]understudy.Note, error) {
	return s.durableNotes(camera, func(n understudy.Note) bool {
		goesOn := n.Kind == understudy.NoteGap && n.To.Equal(n.From)
		return n.From.Before(to) && (goesOn || n.To.After(from) || n.From.Equal(n.To) && !n.From.Before(from))
	}), nil
}

func (s *Store) durableNotes(camera understudy.CameraID, wanted func(understudy.Note) bool) []understudy.Note {
	all := map[string]noted{}
	s.notes.list(camera, all, wanted)
	notes := make([]understudy.Note, 0, len(all))
	for _, n := range all {
		notes = append(notes, n.note)
	}
	slices.SortFunc(notes, func(a, b understudy.Note) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID)) })
	return notes
}

// ForeignNotes returns the durable notes of cameras that belong to another
// server, by camera and time: what has to go home with their footage.
func (s *Store) ForeignNotes() []understudy.Note {
	var foreign []understudy.Note
	for _, camera := range s.notes.names() {
		s.mu.Lock()
		elsewhere := s.isForeign(camera)
		s.mu.Unlock()
		if elsewhere {
			foreign = append(foreign, s.durableNotes(camera, func(understudy.Note) bool { return true })...)
		}
	}
	return foreign
}

// TakeNotes adds notes that another server wrote, durably when it returns nil.
// Taking them again changes nothing; of two notes of one id the one that ends
// later counts. CodeInvalid if one of them is no note: then none is taken.
func (s *Store) TakeNotes(notes []understudy.Note) error {
	cameras := map[understudy.CameraID]bool{}
	for _, n := range notes {
		if err := n.Validate(); err != nil {
			return err
		}
		cameras[n.Camera] = true
	}
	var errs []error
	for _, n := range notes {
		if n.ID == retentionNote {
			continue // what was deleted there tells nothing of what is here
		}
		if have, ok := s.notes.find(n.Camera, n.ID); ok && have.To.After(n.To) {
			continue
		}
		_, err := s.notes.put(inUTC(n), time.Now())
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := s.notes.save(slices.Sorted(maps.Keys(cameras))...); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "notes of another server could not be brought to the disk; check it: %w", err)
	}
	return nil
}

// DeleteNotes forgets notes that lie elsewhere now. One that was replaced
// meanwhile stays. What a crash brings back is sent, and deleted, again.
func (s *Store) DeleteNotes(notes []understudy.Note) error {
	byCamera := map[understudy.CameraID][]understudy.Note{}
	for _, n := range notes {
		byCamera[n.Camera] = append(byCamera[n.Camera], n)
	}
	for camera, gone := range byCamera {
		s.notes.remove(camera, gone)
	}
	if err := s.notes.save(slices.Sorted(maps.Keys(byCamera))...); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "notes that went home could not be deleted here; check the disk: %w", err)
	}
	return nil
}

// saveNotes brings to the disk what was noted since the last time.
func (s *Store) saveNotes() {
	if err := s.notes.save(s.notes.names()...); err != nil {
		s.log.Warn("notes could not be written, and are kept in memory until they can", "err", err)
	}
}

// expireNotes forgets notes that are older than their camera's footage may get
// and than all footage of it that is left.
func (s *Store) expireNotes() {
	s.mu.Lock()
	keep := s.keep
	s.mu.Unlock()
	if keep == nil {
		return
	}
	for _, camera := range s.notes.names() {
		s.mu.Lock()
		elsewhere := s.home == nil || s.isForeign(camera)
		s.mu.Unlock()
		if age := keep(camera); age > 0 && !elsewhere {
			before := time.Now().Add(-age)
			if oldest := s.oldestStart(camera); !oldest.IsZero() && oldest.Before(before) {
				before = oldest
			}
			s.notes.expire(camera, before)
		}
	}
}

// oldestStart returns when the oldest footage of a camera begins; zero if there is none.
func (s *Store) oldestStart(camera understudy.CameraID) (oldest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.cameras[camera] {
		if oldest.IsZero() || e.Start.Before(oldest) {
			oldest = e.Start
		}
	}
	return oldest
}

// recoverNotes brings the notes of a camera into memory.
func (s *Store) recoverNotes(camera understudy.CameraID) error {
	content, err := s.readFile(notesPath(camera))
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if damaged := s.notes.load(camera, content); damaged > 0 {
		s.report(camera, fmt.Sprintf("%d notes of camera %s were damaged and are lost; the others were written anew", damaged, camera))
	}
	return nil
}

// retentionStep is how far retention goes on before its note grows: a full store
// deletes all the time, and needs no line for each segment.
const retentionStep = time.Minute

// noteRetention adds footage that was deleted to what the camera's note says of it.
func (s *Store) noteRetention(camera understudy.CameraID, from, to time.Time) {
	n, ok := s.notes.find(camera, retentionNote)
	if !ok {
		n = understudy.Note{ID: retentionNote, Camera: camera, Server: s.config.Server, Kind: understudy.NoteGap, Cause: understudy.GapRetention, From: from, To: to}
	}
	if ok && !from.Before(n.From) && to.Sub(n.To) < retentionStep {
		return
	}
	if from.Before(n.From) {
		n.From = from
	}
	if to.After(n.To) {
		n.To = to
	}
	n.Sentence = fmt.Sprintf("recordings up to %s were deleted by retention, the oldest first", clock(n.To))
	s.noteOwn(n)
}

// noteGap writes down that footage of a camera is missing, and why.
func (s *Store) noteGap(camera understudy.CameraID, cause understudy.GapCause, from, to time.Time, sentence string) {
	s.noteOwn(understudy.NewGapNote(s.config.Server, camera, cause, from, to, sentence))
}

func (s *Store) noteOwn(n understudy.Note) {
	if err := s.Note(n); err != nil {
		s.log.Warn("a gap could not be noted", "camera", n.Camera, "cause", n.Cause, "err", err)
	}
}

// noteVanished notes what the index knows of and no file holds any more. What is
// older than all that is left was deleted, and the crash came before the index said so.
func (s *Store) noteVanished(camera understudy.CameraID, lines map[string]indexLine, list []*entry) {
	oldest := time.Time{}
	for _, e := range list {
		if oldest.IsZero() || e.Start.Before(oldest) {
			oldest = e.Start
		}
	}
	for _, l := range lines {
		was := entryOf(camera, l)
		if was == nil || oldest.IsZero() || was.Start.Before(oldest) {
			continue
		}
		from := was.Start
		if i, ok := place(list, was.ID); ok {
			from = list[i].End // what is left of it
		}
		if from.Before(was.End) {
			s.noteGap(camera, understudy.GapDamage, from, was.End, fmt.Sprintf("segment %s was recorded, and its file is damaged or gone", was.ID))
		}
	}
}

// checkNotes reads a camera's notes. A line that is being written is no fault.
func (c *checker) checkNotes(camera understudy.CameraID) error {
	content, err := c.store.readFile(notesPath(camera))
	if isNotExist(err) {
		return nil
	}
	if _, lines, damaged, _ := parseNotes(camera, content); damaged > 0 {
		c.fault("%d of %d lines in the notes of camera %s are damaged; the next start leaves them out", damaged, lines, camera)
	}
	return err
}
