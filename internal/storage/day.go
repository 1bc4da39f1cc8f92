package storage

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"understudy"
)

// indexDir has a folder a camera, with a file for each day and holder.
const indexDir = "index"

// dayKey names an index file in its camera: the segments of one holder that
// began on one day of UTC.
type dayKey struct {
	folder *folder
	date   string // 2026-11-25
	holder understudy.ServerID
}

// day is one index file, and its segments in memory while they are needed. The
// store's mu guards all of it.
type day struct {
	dayKey
	camera  understudy.CameraID
	size    int64 // of the file; 0: there is none
	totals  totals
	open    map[uint64]begun // by sequence
	entries []*entry         // by epoch and sequence, if loaded
	loaded  bool
	stale   bool   // the file is written anew before anything is appended
	listed  bool   // the file's name is durable
	busy    int    // changes that are not in the file yet
	version int    // of entries
	used    uint64 // when it was last needed: the highest was last
	newest  *entry // the segment with the highest number, if a start found it without reading all
}

// begun is a segment of which nothing but its beginning is in the index.
type begun struct {
	entry *entry
	at    int64 // where the file says so
}

func keyOf(f *folder, e *entry) dayKey {
	return dayKey{f, e.Start.UTC().Format(time.DateOnly), e.ID.Holder}
}

func cameraIndexDir(camera understudy.CameraID) string { return indexDir + "/" + string(camera) }

func (d *day) path() string {
	return cameraIndexDir(d.camera) + "/" + d.date + "-" + string(d.holder)
}

// tables is the path of the seek tables of the day's segments.
func (d *day) tables() string { return d.path() + tablesSuffix }

// start is the beginning of the day.
func (d *day) start() time.Time {
	t, _ := time.Parse(time.DateOnly, d.date) // it was formatted so, or parsed
	return t
}

// parseDayName is the inverse of the last part of path.
func parseDayName(name string) (date string, holder understudy.ServerID, ok bool) {
	if len(name) < len(time.DateOnly)+2 || name[len(time.DateOnly)] != '-' {
		return "", "", false
	}
	date, holder = name[:len(time.DateOnly)], understudy.ServerID(name[len(time.DateOnly)+1:])
	_, err := time.Parse(time.DateOnly, date)
	return date, holder, err == nil && understudy.ValidateID("server", holder) == nil
}

// pinned reports whether the day must stay in memory.
func (d *day) pinned() bool { return d.busy > 0 || d.stale || len(d.open) > 0 }

// touches reports whether a segment of the day may touch [from, to).
func (d *day) touches(from, to time.Time) bool {
	return d.start().Before(to) && (len(d.open) > 0 || d.totals.end.After(from))
}

// has reports whether a segment may be in it.
func (d *day) has(id understudy.SegmentID) bool {
	return d.holder == id.Holder && d.totals.low <= id.Sequence && id.Sequence <= d.totals.high
}

// add counts a segment in, or out.
func (t *totals) add(e *entry, sign int) {
	switch {
	case !e.Closed:
	case e.Archived:
		t.archived += uint32(sign)
		t.inArchive += int64(sign) * e.Size
	default:
		t.count += uint32(sign)
		t.bytes += int64(sign) * e.Size
	}
}

// apply takes in what a record says and returns the totals behind it, which lies at.
func (d *day) apply(kind recordKind, e *entry, at int64) totals {
	t := &d.totals
	if t.high == 0 || e.ID.Sequence < t.low {
		t.low = e.ID.Sequence
	}
	t.high = max(t.high, e.ID.Sequence)
	i, there := place(d.entries, e.ID)
	if there {
		t.add(d.entries[i], -1)
	}
	switch kind {
	case recordBegun:
		d.open[e.ID.Sequence] = begun{e, at}
	case recordClosed:
		delete(d.open, e.ID.Sequence)
		t.add(e, 1)
		if e.End.After(t.end) {
			t.end = e.End
		}
		if there {
			d.entries[i] = e
		} else {
			d.entries = slices.Insert(d.entries, i, e)
		}
	case recordGone:
		delete(d.open, e.ID.Sequence)
		if there {
			d.entries = slices.Delete(d.entries, i, i+1)
		}
	}
	t.unfinished = -1
	for _, o := range d.open {
		if t.unfinished < 0 || o.at < t.unfinished {
			t.unfinished = o.at
		}
	}
	d.version++
	d.newest = nil
	return *t
}

// parse makes the day of its file's content. Damaged records are left out.
func (d *day) parse(b []byte) (damaged bool) {
	seed := seedOf(d.path())
	d.entries, d.open, d.totals, d.size = nil, map[uint64]begun{}, totals{unfinished: -1}, int64(len(b))
	for at := 0; at < len(b); {
		r, size, ok := parseRecord(b[at:], seed, d.camera, d.holder)
		if ok {
			r.entry.folder = d.folder
			d.apply(r.kind, r.entry, int64(at))
		} else {
			damaged = true
		}
		if size == 0 {
			size = recordAlign // what is behind damage may be whole
		}
		at += size
	}
	d.loaded = true
	return damaged
}

// read reads the day's file; mu is not held. What it returns is not yet in d.
func (d *day) read() (fresh *day, damaged bool, err error) {
	content, err := d.folder.readFile(d.path())
	if err != nil && !isNotExist(err) {
		return nil, false, understudy.Errorf(understudy.CodeUnavailable, "the index of camera %s cannot be read; check the disk: %w", d.camera, err)
	}
	fresh = &day{dayKey: d.dayKey, camera: d.camera}
	return fresh, fresh.parse(content) || err != nil, nil
}

// summary is how much of an index file's end is read at a start: its last record, as a rule.
const summary = 4096

// peek takes in the last record of the day's file, or all of it if that is torn.
func (d *day) peek() (damaged bool, err error) {
	file, err := d.folder.fs.OpenFile(d.path(), os.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	tail := make([]byte, min(info.Size(), summary))
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	d.open, d.listed, d.size = map[uint64]begun{}, true, info.Size()
	if r, ok := parseLast(tail, seedOf(d.path()), d.camera, d.holder); ok && r.totals.unfinished < 0 {
		d.totals = r.totals
		if r.kind == recordClosed && r.entry.ID.Sequence == r.totals.high {
			d.newest = r.entry
		}
		return false, nil
	}
	content := make([]byte, info.Size())
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, info.Size()), content); err != nil {
		return false, err
	}
	damaged = d.parse(content)
	d.stale = damaged
	return damaged, nil
}

// encode is the day's file, written anew.
func (d *day) encode() []byte {
	seed, fresh := seedOf(d.path()), &day{dayKey: d.dayKey, camera: d.camera, open: map[uint64]begun{}, totals: totals{unfinished: -1}}
	var b []byte
	add := func(kind recordKind, e *entry) {
		t := fresh.apply(kind, e, int64(len(b)))
		b = appendRecord(b, seed, record{kind, e, t})
	}
	var live []*entry
	for _, e := range d.entries {
		if e.Closed {
			live = append(live, e)
		}
	}
	slices.SortFunc(live, func(a, b *entry) int { return cmp.Compare(a.ID.Sequence, b.ID.Sequence) })
	for _, e := range live {
		add(recordClosed, e)
	}
	for _, o := range d.open {
		add(recordBegun, o.entry)
	}
	d.open, d.totals = fresh.open, fresh.totals
	return b
}

// cameraDays is what the index has of a camera. The store's mu guards it.
type cameraDays struct {
	days   map[dayKey]*day
	count  int   // closed segments that have their bytes here
	bytes  int64 // of them
	remote int64 // bytes of segments in the archive
}

// any reports whether there is footage.
func (c *cameraDays) any() bool {
	for _, d := range c.days {
		if d.totals.count > 0 || d.totals.archived > 0 || len(d.entries) > 0 {
			return true
		}
	}
	return false
}

// sorted returns the days by date.
func (c *cameraDays) sorted() []*day {
	if c == nil {
		return nil
	}
	var list []*day
	for _, d := range c.days {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *day) int {
		return cmp.Or(strings.Compare(a.date, b.date), strings.Compare(string(a.holder), string(b.holder)), strings.Compare(a.folder.config.Dir, b.folder.config.Dir))
	})
	return list
}
