package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
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
	f := s.noteFolder(n.Camera, n.ID)
	dropped, err := f.notes.put(inUTC(n), time.Now())
	if dropped > 0 {
		s.log.Warn("a camera has more notes than there is room for, and the oldest were dropped", "camera", n.Camera, "dropped", dropped)
	}
	return err
}

// noteFolder returns the folder in which a note lies or comes to lie: the one
// that has it, if that is well, else the one that its camera records to.
func (s *Store) noteFolder(camera understudy.CameraID, id string) *folder {
	if _, f := s.findNote(camera, id); f != nil {
		if sentence, _ := f.health.sentence(); sentence == "" {
			return f
		}
	}
	return s.choose(camera, nil)
}

// findNote returns a note as it was given last, and where it lies; nil if there is none.
func (s *Store) findNote(camera understudy.CameraID, id string) (understudy.Note, *folder) {
	var last noted
	var in *folder
	for _, f := range s.folders {
		if n, ok := f.notes.find(camera, id); ok && (in == nil || n.at.After(last.at)) {
			last, in = n, f
		}
	}
	return last.note, in
}

// noteNames returns the cameras that have notes, by id.
func (s *Store) noteNames() []understudy.CameraID {
	names := map[understudy.CameraID]bool{}
	for _, f := range s.folders {
		for _, camera := range f.notes.names() {
			names[camera] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
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
	for _, f := range s.folders {
		f.notes.list(camera, all, func(understudy.Note) bool { return true })
	}
	notes := make([]understudy.Note, 0, len(all))
	for _, n := range all {
		if wanted(n.note) {
			notes = append(notes, n.note)
		}
	}
	slices.SortFunc(notes, func(a, b understudy.Note) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID)) })
	return notes
}

// ForeignNotes returns the durable notes of cameras that belong to another
// server, by camera and time: what has to go home with their footage.
func (s *Store) ForeignNotes() []understudy.Note {
	var foreign []understudy.Note
	for _, camera := range s.noteNames() {
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
		if n.Cause == understudy.GapDamage && s.covers(n.Camera, n.From, n.To) {
			continue // it came here, and was gone there before the index said so
		}
		if have, f := s.findNote(n.Camera, n.ID); f != nil && have.To.After(n.To) {
			continue
		}
		_, err := s.noteFolder(n.Camera, n.ID).notes.put(inUTC(n), time.Now())
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := s.saveNotesOf(slices.Sorted(maps.Keys(cameras))...); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "notes of another server could not be brought to the disk; check it: %w", err)
	}
	return nil
}

// covers reports whether footage of a camera leaves nothing of [from, to) open.
func (s *Store) covers(camera understudy.CameraID, from, to time.Time) bool {
	segments, err := s.Segments(context.Background(), camera, from, to, false)
	slices.SortFunc(segments, func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) })
	for _, segment := range segments {
		if segment.Start.After(from) {
			break
		}
		from = laterOf(from, segment.End)
	}
	return err == nil && !from.Before(to)
}

// DeleteNotes forgets notes that lie elsewhere now. One that was replaced
// meanwhile stays. What a crash brings back is sent, and deleted, again.
func (s *Store) DeleteNotes(notes []understudy.Note) error {
	byCamera := map[understudy.CameraID][]understudy.Note{}
	for _, n := range notes {
		byCamera[n.Camera] = append(byCamera[n.Camera], n)
	}
	for camera, gone := range byCamera {
		for _, n := range gone {
			s.forgetNote(camera, n)
		}
	}
	if err := s.saveNotesOf(slices.Sorted(maps.Keys(byCamera))...); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "notes that went home could not be deleted here; check the disk: %w", err)
	}
	return nil
}

// forgetNote takes a note out of all folders, unless it was replaced.
func (s *Store) forgetNote(camera understudy.CameraID, n understudy.Note) {
	have, in := s.findNote(camera, n.ID)
	if in == nil || !equalNotes(have, n) {
		return
	}
	in.notes.remove(camera, []understudy.Note{n})
	for _, f := range s.folders {
		if older, ok := f.notes.find(camera, n.ID); ok && f != in {
			f.notes.remove(camera, []understudy.Note{older.note})
		}
	}
}

// saveNotesOf brings the notes of cameras to the disks.
func (s *Store) saveNotesOf(cameras ...understudy.CameraID) error {
	var errs []error
	for _, f := range s.folders {
		errs = append(errs, f.notes.save(cameras...))
	}
	return errors.Join(errs...)
}

// saveNotes brings to the disk what was noted since the last time.
func (f *folder) saveNotes() {
	if err := f.notes.save(f.notes.names()...); err != nil {
		f.log.Warn("notes could not be written, and are kept in memory until they can", "err", err)
	}
}

// expireNotes forgets notes that are older than their camera's footage may get
// and than all footage of it that is left.
func (f *folder) expireNotes() {
	s := f.store
	s.mu.Lock()
	keep := s.keep
	s.mu.Unlock()
	if keep == nil {
		return
	}
	for _, camera := range f.notes.names() {
		s.mu.Lock()
		elsewhere := s.home == nil || s.isForeign(camera)
		s.mu.Unlock()
		if age := keep(camera); age > 0 && !elsewhere {
			before := time.Now().Add(-age)
			if oldest := s.oldestStart(camera); !oldest.IsZero() && oldest.Before(before) {
				before = oldest
			}
			f.notes.expire(camera, before)
		}
	}
}

// oldestStart returns the day on which the oldest footage of a camera begins; zero if there is none.
func (s *Store) oldestStart(camera understudy.CameraID) (oldest time.Time) {
	for _, d := range s.days(camera) {
		return d.start()
	}
	return time.Time{}
}

// recoverNotes brings the notes of a camera into memory.
func (f *folder) recoverNotes(camera understudy.CameraID) error {
	content, err := f.readFile(notesPath(camera))
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	// A killed process leaves what it wrote, and a power cut may still take it.
	file, err := f.fs.OpenFile(notesPath(camera), os.O_WRONLY)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close(), f.fs.SyncDir(cameraDir(camera))); err != nil {
		return err
	}
	if damaged := f.notes.load(camera, content); damaged > 0 {
		f.store.report(camera, fmt.Sprintf("%d notes of camera %s were damaged and are lost; the others were written anew", damaged, camera))
	}
	return nil
}

// retentionStep is how far retention goes on before its note grows: a full store
// deletes all the time, and needs no line for each segment.
const retentionStep = time.Minute

// noteRetention adds footage that was deleted to what the camera's note says of it.
func (s *Store) noteRetention(camera understudy.CameraID, from, to time.Time) {
	n, in := s.findNote(camera, retentionNote)
	ok := in != nil
	if !ok {
		n = understudy.Note{ID: retentionNote, Camera: camera, Server: s.server, Kind: understudy.NoteGap, Cause: understudy.GapRetention, From: from, To: to}
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
	s.noteOwn(understudy.NewGapNote(s.server, camera, cause, from, to, sentence))
}

func (s *Store) noteOwn(n understudy.Note) {
	if err := s.Note(n); err != nil {
		s.log.Warn("a gap could not be noted", "camera", n.Camera, "cause", n.Cause, "err", err)
	}
}

// noteDamage notes in the folder itself, also while the store is being opened,
// that footage in it is damaged or gone.
func (f *folder) noteDamage(camera understudy.CameraID, from, to time.Time, sentence string) {
	n := understudy.NewGapNote(f.store.server, camera, understudy.GapDamage, from, to, sentence)
	if _, err := f.notes.put(inUTC(n), time.Now()); err != nil {
		f.log.Warn("a gap could not be noted", "camera", camera, "cause", n.Cause, "err", err)
	}
}

// checkNotes reads a camera's notes. A line that is being written is no fault.
func (c *checker) checkNotes(camera understudy.CameraID) error {
	content, err := c.folder.readFile(notesPath(camera))
	if isNotExist(err) {
		return nil
	}
	if _, lines, damaged, _ := parseNotes(camera, content); damaged > 0 {
		c.fault("%d of %d lines in the notes of camera %s are damaged; the next start leaves them out", damaged, lines, camera)
	}
	return err
}
