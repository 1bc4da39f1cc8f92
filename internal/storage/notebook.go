package storage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"understudy"
	"understudy/internal/fs"
)

// Bounds of notes, which are held in memory. Of a camera that has more, the oldest go.
const (
	maxNotes      = 20_000
	maxNotesBytes = 8 << 20
	maxAllNotes   = 128 << 20 // bytes of all cameras of a folder
	maxNoteLine   = 64 << 10
	// staleMost is how many lines of a file may say what later ones take back.
	staleMost = 1000
)

// notebook is the notes of the cameras of one folder: all of them in memory, and
// in a file a camera that is appended to. What was told to be durable is what
// list returns. After any failure the file is replaced whole from memory, so
// that nothing is ever appended behind a tail of unknown content.
type notebook struct {
	fs      fs.FS
	do      func(what string, f func() error) error // one operation of the disk, watched
	makeDir func(understudy.CameraID) error
	replace func(dir, name string, content []byte) error
	wrote   func(bytes int) // so that room is made for it, too

	writing diskLock // one writer of the files at a time, over operations of the disk

	mu      sync.Mutex // guards what follows, never over an operation of the disk
	cameras map[understudy.CameraID]*cameraNotes
	bytes   int
}

// cameraNotes is the notes of one camera.
type cameraNotes struct {
	notes   map[string]*noted
	unsaved []string // ids of notes that changed or went since the last write
	bytes   int
	stale   int  // lines of the file that count no more
	listed  bool // the file's name is durable
	rewrite bool // the file is to be replaced
}

// noted is a note and what of it is durable.
type noted struct {
	note    understudy.Note
	at      time.Time        // when it was given
	durable *understudy.Note // nil: nothing yet
}

// noteLine is a line of a notes file: a note, or one that is gone.
type noteLine struct {
	Note *understudy.Note `json:"note,omitempty"`
	At   time.Time        `json:"at,omitzero"` // of two folders' notes of one id the later counts
	Gone string           `json:"gone,omitempty"`
}

func notesPath(camera understudy.CameraID) string { return cameraDir(camera) + "/notes" }

func appendNoteLine(b []byte, l noteLine) []byte {
	content, err := json.Marshal(l)
	if err != nil {
		panic("a note was checked and is always JSON: " + err.Error())
	}
	return fmt.Appendf(b, "%08x %s\n", crc32.Checksum(content, castagnoli), content)
}

// parseNotes returns what the lines of a notes file add up to, and how many
// lines are damaged. A last line without an end was never durable: torn.
func parseNotes(camera understudy.CameraID, b []byte) (notes map[string]*noted, lines, damaged int, torn bool) {
	notes = map[string]*noted{}
	for line := range bytes.Lines(b) {
		line, whole := bytes.CutSuffix(line, []byte("\n"))
		if !whole {
			return notes, lines, damaged, true
		}
		lines++
		l, ok := parseNoteLine(camera, line)
		switch {
		case !ok:
			damaged++
		case l.Note != nil:
			notes[l.Note.ID] = &noted{note: *l.Note, at: l.At, durable: l.Note}
		default:
			delete(notes, l.Gone)
		}
	}
	return notes, lines, damaged, false
}

func parseNoteLine(camera understudy.CameraID, line []byte) (l noteLine, ok bool) {
	sum, content, ok := bytes.Cut(line, []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !ok || err != nil || len(line) > maxNoteLine || uint32(want) != crc32.Checksum(content, castagnoli) || json.Unmarshal(content, &l) != nil {
		return l, false
	}
	if l.Note != nil {
		return l, l.Note.Validate() == nil && l.Note.Camera == camera
	}
	return l, l.Gone != ""
}

// load makes the notes known that lie in a camera's file, and says how many of
// its lines were damaged.
func (b *notebook) load(camera understudy.CameraID, content []byte) (damaged int) {
	notes, lines, damaged, torn := parseNotes(camera, content)
	c := &cameraNotes{notes: notes, stale: lines - len(notes), listed: true, rewrite: damaged > 0 || torn}
	for _, n := range notes {
		c.bytes += noteSize(n.note)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cameras[camera] = c
	b.bytes += c.bytes
	return damaged
}

func noteSize(n understudy.Note) int {
	return 300 + len(n.ID) + len(n.Name) + len(n.Data) + len(n.Sentence)
}

// put adds a note or replaces the one of its id, and says how many old ones had
// to go for it. It does not wait for the disk.
func (b *notebook) put(n understudy.Note, at time.Time) (dropped int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cameras[n.Camera]
	if c == nil {
		c = &cameraNotes{notes: map[string]*noted{}}
		b.cameras[n.Camera] = c
	}
	old := c.notes[n.ID]
	if old != nil && equalNotes(old.note, n) {
		return 0, nil
	}
	for old == nil && (len(c.notes) >= maxNotes || c.bytes >= maxNotesBytes || b.bytes >= maxAllNotes) {
		oldest := c.oldest()
		if oldest == "" {
			return dropped, understudy.Errorf(understudy.CodeUnavailable, "there is no room for another note of camera %s: the cameras' notes have %d MB", n.Camera, b.bytes>>20)
		}
		b.drop(c, oldest)
		dropped++
	}
	next := &noted{note: n, at: at}
	size := noteSize(n)
	if old != nil {
		next.durable, next.at = old.durable, laterOf(at, old.at)
		size -= noteSize(old.note)
	}
	c.notes[n.ID] = next
	c.bytes += size
	b.bytes += size
	c.unsaved = append(c.unsaved, n.ID)
	return dropped, nil
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// oldest returns the id of the oldest note that may go.
func (c *cameraNotes) oldest() string {
	id, from := "", time.Time{}
	for _, n := range c.notes {
		if n.note.ID != retentionNote && (id == "" || n.note.From.Before(from)) {
			id, from = n.note.ID, n.note.From
		}
	}
	return id
}

// drop forgets a note; mu is held.
func (b *notebook) drop(c *cameraNotes, id string) {
	size := noteSize(c.notes[id].note)
	delete(c.notes, id)
	c.bytes -= size
	b.bytes -= size
	c.unsaved = append(c.unsaved, id)
}

// remove forgets notes of a camera that are as they are given.
func (b *notebook) remove(camera understudy.CameraID, gone []understudy.Note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cameras[camera]
	for _, n := range gone {
		if c != nil && c.notes[n.ID] != nil && equalNotes(c.notes[n.ID].note, n) {
			b.drop(c, n.ID)
		}
	}
}

// expire forgets the notes of a camera that ended before a time, but for the one
// that says what retention took.
func (b *notebook) expire(camera understudy.CameraID, before time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cameras[camera]
	if c == nil {
		return
	}
	for id, n := range c.notes {
		if id != retentionNote && n.note.To.Before(before) {
			b.drop(c, id)
		}
	}
}

// find returns a note as it was given last, and when that was.
func (b *notebook) find(camera understudy.CameraID, id string) (noted, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.cameras[camera]; c != nil && c.notes[id] != nil {
		return *c.notes[id], true
	}
	return noted{}, false
}

// list adds the durable notes of a camera that wanted accepts to all, of two
// with one id the later.
func (b *notebook) list(camera understudy.CameraID, all map[string]noted, wanted func(understudy.Note) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cameras[camera]
	if c == nil {
		return
	}
	for id, n := range c.notes {
		if have, ok := all[id]; n.durable != nil && wanted(*n.durable) && (!ok || have.at.Before(n.at)) {
			all[id] = noted{note: *n.durable, at: n.at}
		}
	}
}

// names returns the cameras that have notes, by id.
func (b *notebook) names() []understudy.CameraID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.cameras))
}

// save makes durable what was noted of the cameras since the last time. It
// returns the first error; what failed is tried again, whole, the next time.
func (b *notebook) save(cameras ...understudy.CameraID) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	var first error
	for _, camera := range cameras {
		w, ok := b.begin(camera)
		if !ok {
			continue
		}
		err := b.write(camera, w)
		b.end(camera, w, err)
		b.wrote(len(w.content))
		first = cmp.Or(first, err)
	}
	return first
}

// notesWrite is what one write of a camera's file brings to the disk.
type notesWrite struct {
	whole   bool
	listed  bool
	content []byte
	notes   map[string]understudy.Note // that are durable when it is
	stale   int
}

// begin takes what a camera has to write; not ok if that is nothing.
func (b *notebook) begin(camera understudy.CameraID) (w notesWrite, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cameras[camera]
	if c == nil || len(c.unsaved) == 0 && !c.rewrite {
		return w, false
	}
	w = notesWrite{whole: c.rewrite || c.stale > staleMost && c.stale > len(c.notes), listed: c.listed, notes: map[string]understudy.Note{}}
	ids := c.unsaved
	if w.whole {
		ids = slices.Sorted(maps.Keys(c.notes))
	}
	c.unsaved = nil
	for _, id := range ids {
		n, there := c.notes[id]
		if _, again := w.notes[id]; again {
			continue // the newest counts, and is in
		}
		if !there {
			w.content, w.stale = appendNoteLine(w.content, noteLine{Gone: id}), w.stale+2
			continue
		}
		if n.durable != nil && !w.whole {
			w.stale++
		}
		w.notes[id] = n.note
		w.content = appendNoteLine(w.content, noteLine{Note: &n.note, At: n.at})
	}
	return w, true
}

func (b *notebook) write(camera understudy.CameraID, w notesWrite) error {
	return b.do("a write of notes", func() error {
		if err := b.makeDir(camera); err != nil {
			return err
		}
		if w.whole {
			return b.replace(cameraDir(camera), notesPath(camera), w.content)
		}
		f, err := b.fs.OpenFile(notesPath(camera), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		if err != nil {
			return err
		}
		_, err = f.Write(w.content)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil || w.listed {
			return err
		}
		return b.fs.SyncDir(cameraDir(camera))
	})
}

// end takes in what came of a write.
func (b *notebook) end(camera understudy.CameraID, w notesWrite, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cameras[camera]
	if err != nil {
		c.rewrite = true
		return
	}
	c.listed = true
	if w.whole {
		c.rewrite, c.stale = false, 0
	}
	c.stale += w.stale
	for id, saved := range w.notes {
		if n := c.notes[id]; n != nil {
			n.durable = &saved
		}
	}
}

// equalNotes reports whether two notes say the same.
func equalNotes(a, b understudy.Note) bool {
	return a.ID == b.ID && a.Camera == b.Camera && a.Server == b.Server && a.Kind == b.Kind && a.From.Equal(b.From) && a.To.Equal(b.To) &&
		a.Name == b.Name && bytes.Equal(a.Data, b.Data) && a.Cause == b.Cause && a.Sentence == b.Sentence
}
