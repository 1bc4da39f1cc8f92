package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// A seek table says where in a closed segment a picture is, so that nobody has to
// walk over the heads of its fragments. Those of a day's segments lie in one file
// beside the day's index, which says where each begins. It is a cache: it is never
// synced, and what is missing or wrong is read from the heads. A table:
//
//	u32 CRC-32C of the rest, begun with the CRC-32C of the segment's path
//	u64 size of the segment     i64 its first video sample (ns since 1970)
//	its marks, as in a marks file
//	uvarint number of fragments, then of each what is more than of the one before:
//	  uvarint offset
//	  uvarint number of its first video sample

// tablesSuffix follows the name of the day's index.
const tablesSuffix = ".marks"

// Bounds: of a table, and of a day's.
const (
	maxTable  = maxMarksFile
	maxTables = math.MaxUint32
)

// tablePlace is where a table lies in its file; size 0: there is none.
type tablePlace struct{ at, size uint32 }

// seekTable is what is needed to find pictures in a closed segment.
type seekTable struct {
	size   int64 // of the segment; 0: places are not known
	marks  []understudy.SampleMark
	places []fragmentPlace
}

// fragmentPlace is where a fragment begins, and the number of its first video sample.
type fragmentPlace struct {
	offset int64
	first  int
}

// place returns the fragment with a video sample.
func (t seekTable) place(sample int) (fragmentPlace, bool) {
	n, _ := slices.BinarySearchFunc(t.places, sample+1, func(p fragmentPlace, first int) int { return p.first - first })
	if n == 0 || sample >= len(t.marks) {
		return fragmentPlace{}, false
	}
	return t.places[n-1], true
}

// take adds the next fragment of a segment.
func (t *seekTable) take(r *fmp4.Reader, verified bool) error {
	at := fragmentPlace{r.Offset(), len(t.marks)}
	marks, err := r.NextMarks(verified)
	if err == nil {
		t.marks, t.places = append(t.marks, marks...), append(t.places, at)
	}
	return err
}

// scanTable is fmp4.Scan, and notes where the fragments are.
func scanTable(r io.ReadSeeker, verifyFrom int64) (fmp4.Header, []understudy.Track, seekTable, error) {
	var t seekTable
	reader := fmp4.NewReader(r)
	header, tracks, err := reader.Header()
	if err != nil {
		return header, nil, t, err
	}
	for err == nil {
		err = t.take(reader, reader.Offset() >= verifyFrom)
	}
	if !errors.Is(err, io.EOF) {
		return header, nil, t, err
	}
	t.size, t.marks, t.places = reader.Offset(), slices.Clip(t.marks), slices.Clip(t.places)
	return header, tracks, t, nil
}

func tableSeed(id understudy.SegmentID) uint32 { return seedOf(segmentPath(id)) }

func marshalTable(id understudy.SegmentID, t seekTable) []byte {
	start := t.marks[0].At
	b := make([]byte, 20, 40+24*len(t.marks)+6*len(t.places))
	binary.BigEndian.PutUint64(b[4:], uint64(t.size))
	binary.BigEndian.PutUint64(b[12:], uint64(start.UnixNano()))
	b = appendMarks(b, start, t.marks)
	b = binary.AppendUvarint(b, uint64(len(t.places)))
	var last fragmentPlace
	for _, p := range t.places {
		b = binary.AppendUvarint(b, uint64(p.offset-last.offset))
		b = binary.AppendUvarint(b, uint64(p.first-last.first))
		last = p
	}
	binary.BigEndian.PutUint32(b, crc32.Update(tableSeed(id), castagnoli, b[4:]))
	return b
}

// parseTable is the inverse of marshalTable. It trusts nothing.
func parseTable(b []byte, id understudy.SegmentID) (t seekTable, ok bool) {
	if len(b) < 20 || crc32.Update(tableSeed(id), castagnoli, b[4:]) != binary.BigEndian.Uint32(b) {
		return t, false
	}
	t.size = int64(binary.BigEndian.Uint64(b[4:]))
	start := time.Unix(0, int64(binary.BigEndian.Uint64(b[12:]))).UTC()
	if t.marks, b, ok = parseMarkList(b[20:], start); !ok || t.size <= 0 {
		return t, false
	}
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)/2) {
		return t, false
	}
	b = b[used:]
	t.places = make([]fragmentPlace, 0, n)
	var last fragmentPlace
	for range n {
		offset, used := binary.Uvarint(b)
		first, more := binary.Uvarint(b[max(used, 0):])
		if used <= 0 || more <= 0 || offset == 0 || offset >= uint64(t.size-last.offset) || first > uint64(len(t.marks)-last.first) {
			return t, false
		}
		b = b[used+more:]
		last = fragmentPlace{last.offset + int64(offset), last.first + int(first)}
		t.places = append(t.places, last)
	}
	return t, len(b) == 0
}

// tablesOf is the path of the file for the table of a segment.
func (f *folder) tablesOf(e *entry) string {
	return (&day{dayKey: keyOf(f, e), camera: e.ID.Camera}).tables()
}

// keepTable appends the seek table of a closed segment, and lets its entry say
// where that is, before the index has it.
func (f *folder) keepTable(e *entry, t seekTable) {
	e.table = tablePlace{}
	if len(t.marks) == 0 || t.size != e.Size {
		return
	}
	b := marshalTable(e.ID, t)
	f.indexMu.Lock()
	defer f.indexMu.Unlock()
	err := f.health.do("a write to the index", func() error {
		if err := f.makeDir(cameraIndexDir(e.ID.Camera), indexDir); err != nil {
			return err
		}
		file, err := f.fs.OpenFile(f.tablesOf(e), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil || len(b) > maxTable || info.Size()+int64(len(b)) > maxTables {
			return err
		}
		n, err := file.Write(b)
		f.written.Add(int64(n))
		if err == nil {
			e.table = tablePlace{uint32(info.Size()), uint32(len(b))}
		}
		return err
	})
	if err != nil {
		f.log.Warn("where the pictures of a segment are was not written; finding one takes a little longer", "segment", e.ID, "err", err)
	}
}

// keptTable returns the seek table that is kept of a closed segment; not ok if
// there is none that is whole.
func (f *folder) keptTable(e *entry) (t seekTable, ok bool) {
	if e.table.size == 0 || e.table.size > maxTable || e.rest {
		return t, false
	}
	file, err := f.fs.OpenFile(f.tablesOf(e), os.O_RDONLY)
	if err != nil {
		return t, false
	}
	defer file.Close()
	b := make([]byte, e.table.size)
	if n, _ := file.ReadAt(b, int64(e.table.at)); n < len(b) {
		return t, false
	}
	t, ok = parseTable(b, e.ID)
	return t, ok && t.size == e.Size
}

// dropTables removes the seek tables of a day.
func (f *folder) dropTables(path string) {
	if err := f.fs.Remove(path); err != nil && !isNotExist(err) {
		f.log.Warn("seek tables that nobody needs any more could not be removed; the next start does", "file", path, "err", err)
	}
}

// dropStrayTables removes the seek tables of days that have no index.
func (f *folder) dropStrayTables(camera understudy.CameraID, files []iofs.DirEntry) {
	for _, file := range files {
		of, ok := strings.CutSuffix(file.Name(), tablesSuffix)
		if ok && !slices.ContainsFunc(files, func(other iofs.DirEntry) bool { return other.Name() == of }) {
			f.dropTables(cameraIndexDir(camera) + "/" + file.Name())
		}
	}
}

// keptRight reports whether the seek table that is kept of a segment, if there is
// one that is whole, says what the segment's heads say.
func (c *checker) keptRight(e *entry) bool {
	kept, ok := c.folder.keptTable(e)
	if !ok {
		return true
	}
	file, err := c.folder.openFile(e.ID)
	if err != nil {
		return true // it went meanwhile
	}
	defer file.Close()
	_, _, t, err := scanTable(file, math.MaxInt64)
	return err != nil || slices.Equal(kept.marks, t.marks) && slices.Equal(kept.places, t.places)
}
