package storage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"understudy"
)

// entry is one segment in memory.
type entry struct {
	understudy.Segment             // without marks
	last               markerPoint // the last video sample
	marks              []understudy.SampleMark
	rest               bool // its file has more behind a damaged fragment
	folder             *folder
	twin               *folder // another one that has it, too
}

// markerPoint is a watermark as the index has it.
type markerPoint = understudy.Watermark

// indexLine is one line of a camera's index: a segment that was closed, or one that is gone.
type indexLine struct {
	Name  string                `json:"name"` // of the file, without folder and ending
	Gone  bool                  `json:"gone,omitempty"`
	Start time.Time             `json:"start,omitzero"`
	End   time.Time             `json:"end,omitzero"`
	Size  int64                 `json:"size,omitempty"`
	Codec understudy.Codec      `json:"codec,omitempty"`
	Last  *understudy.Watermark `json:"last,omitempty"`
	Rest  bool                  `json:"rest,omitempty"`
	Holes []understudy.Hole     `json:"holes,omitempty"`
	// Archived: the bytes are in the archive, and a marks file is here.
	Archived bool `json:"archived,omitempty"`
}

func lineOf(e *entry) indexLine {
	last := e.last
	return indexLine{Name: nameOf(e.ID), Start: e.Start, End: e.End, Size: e.Size, Codec: e.Codec, Last: &last, Rest: e.rest, Holes: e.Holes, Archived: e.Archived}
}

// entryOf is the inverse of lineOf; nil if the line is nothing of that camera.
func (f *folder) entryOf(camera understudy.CameraID, l indexLine) *entry {
	id, err := understudy.ParseSegmentID(string(camera) + "/" + l.Name)
	if err != nil || l.Size <= 0 || l.Last == nil {
		return nil
	}
	return &entry{Segment: understudy.Segment{ID: id, Start: l.Start, End: l.End, Size: l.Size, Closed: true, Codec: l.Codec, Holes: l.Holes, Archived: l.Archived}, last: *l.Last, rest: l.Rest, folder: f}
}

// nameOf returns the file name of a segment without its ending.
func nameOf(id understudy.SegmentID) string {
	_, name, _ := strings.Cut(id.String(), "/")
	return name
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendLine appends a line: checksum, space, JSON.
func appendLine(b []byte, l indexLine) []byte {
	content, err := json.Marshal(l)
	if err != nil {
		panic("an index line is always JSON: " + err.Error())
	}
	return fmt.Appendf(b, "%08x %s\n", crc32.Checksum(content, castagnoli), content)
}

// parseIndex returns what the lines add up to, by file name. Lines that are
// damaged are left out: the index is a cache, and what it lacks is read from
// the segments. stale says that rewriting would make it smaller or whole.
func parseIndex(b []byte) (lines map[string]indexLine, stale bool) {
	lines = map[string]indexLine{}
	for line := range bytes.Lines(b) {
		sum, content, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		want, err := strconv.ParseUint(string(sum), 16, 32)
		var l indexLine
		if !ok || err != nil || uint32(want) != crc32.Checksum(content, castagnoli) || json.Unmarshal(content, &l) != nil {
			stale = true
			continue
		}
		if l.Gone {
			stale = true
			delete(lines, l.Name)
			continue
		}
		lines[l.Name] = l
	}
	return lines, stale || len(b) > 0 && b[len(b)-1] != '\n'
}

// bySegment orders segments by holder, epoch and sequence.
func bySegment(a, b understudy.SegmentID) int {
	return cmp.Or(cmp.Compare(a.Holder, b.Holder), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Sequence, b.Sequence))
}

// place returns where in list the segment is or belongs.
func place(list []*entry, id understudy.SegmentID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(e *entry, id understudy.SegmentID) int { return bySegment(e.ID, id) })
}

// record appends a line to a camera's index. A failure costs time at the next
// start, not footage: it is logged only.
func (f *folder) record(camera understudy.CameraID, l indexLine) {
	f.indexMu.Lock()
	defer f.indexMu.Unlock()
	err := f.health.do("a write to the index", func() error {
		file, err := f.fs.OpenFile(indexPath(camera), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.Write(appendLine(nil, l))
		return err
	})
	if err != nil {
		f.log.Warn("a line of the index was not written; the next start reads the segment instead", "camera", camera, "err", err)
	}
}

// goneMost is how many segments may have gone since a camera's index was last
// written whole: retention deletes for as long as a server runs, and what is
// only ever appended to would grow for as long.
const goneMost = 2000

// recordGone notes that a segment is gone, and now and then writes the index anew.
func (f *folder) recordGone(id understudy.SegmentID) {
	f.record(id.Camera, indexLine{Name: nameOf(id), Gone: true})
	f.indexMu.Lock()
	defer f.indexMu.Unlock()
	if f.gone == nil {
		f.gone = map[understudy.CameraID]int{}
	}
	if f.gone[id.Camera]++; f.gone[id.Camera] < goneMost {
		return
	}
	f.gone[id.Camera] = 0
	// What is closed or deleted meanwhile appends its line behind this.
	f.store.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(f.store.cameras[id.Camera]), func(e *entry) bool { return !e.Closed || e.folder != f })
	f.store.mu.Unlock()
	f.rewriteIndex(id.Camera, list)
}
