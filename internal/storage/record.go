package storage

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"understudy"
)

// recordKind is what a record of the index says of a segment.
type recordKind uint8

const (
	recordBegun  recordKind = iota + 1 // its file is made
	recordClosed                       // nothing is added any more
	recordGone                         // its file is removed, or about to be
)

// record is one record of an index file.
type record struct {
	kind   recordKind
	entry  *entry // of one that is begun, the id and the start only; of one gone, the id only
	totals totals
}

// totals sum up an index file to its end, so that its last record says what a
// start has to know.
type totals struct {
	unfinished int64  // where the first one lies that is begun and neither closed nor gone; -1: there is none
	count      uint32 // segments that are closed and here
	bytes      int64  // of them
	end        time.Time
	low, high  uint64 // of the sequences
	archived   uint32 // segments of which the archive has the bytes; count has none of them
	inArchive  int64  // bytes of them
}

// Sizes of a record: its fixed part, a hole, and what is still taken for one.
const (
	recordFixed = 132
	recordAlign = 8 // all sizes are multiples of this
	recordHole  = 16
	recordTable = 8
	recordMost  = recordFixed + recordHole*maxHoles + recordTable + 4
	maxHoles    = 1000 // a segment with more has only its first ones in the index
)

// Flags of a record.
const (
	flagRest     = 1 // the file has damage in it
	flagArchived = 2 // the archive has the bytes
	flagTable    = 4 // it says where the segment's seek table is kept
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// codecs by their number in a record.
var codecs = []understudy.Codec{"", understudy.CodecH264, understudy.CodecH265, understudy.CodecMJPEG}

// seedOf makes the checksums of an index file its own, so that another camera's
// file under its name is not taken for it.
func seedOf(path string) uint32 { return crc32.Checksum([]byte(path), castagnoli) }

func nanoseconds(t time.Time) uint64 {
	if t.IsZero() {
		return math.MaxUint64
	}
	return uint64(t.UnixNano())
}

func timeOf(ns uint64) time.Time {
	if ns == math.MaxUint64 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns)).UTC()
}

// appendRecord appends a record; design/storage.md has its layout.
func appendRecord(b []byte, seed uint32, r record) []byte {
	at, e := len(b), r.entry
	holes := e.Holes[:min(len(e.Holes), maxHoles)]
	size := uint32(recordFixed + recordHole*len(holes) + 4)
	kept := r.kind == recordClosed && e.table.size > 0
	if kept {
		size += recordTable
	}
	be := binary.BigEndian
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, size)
	flags := byte(0)
	if e.rest {
		flags |= flagRest
	}
	if e.Archived {
		flags |= flagArchived
	}
	if kept {
		flags |= flagTable
	}
	b = append(b, byte(r.kind), byte(max(0, slices.Index(codecs, e.Codec))), flags, 0)
	b = be.AppendUint32(b, r.totals.count)
	for _, v := range []uint64{e.ID.Epoch, e.ID.Sequence, nanoseconds(e.Start), nanoseconds(e.End), uint64(e.Size), nanoseconds(e.last.At)} {
		b = be.AppendUint64(b, v)
	}
	b = append(b, e.last.Hash[:]...)
	for _, v := range []uint64{uint64(r.totals.unfinished), uint64(r.totals.bytes), nanoseconds(r.totals.end), r.totals.low, r.totals.high} {
		b = be.AppendUint64(b, v)
	}
	b = be.AppendUint64(be.AppendUint32(b, r.totals.archived), uint64(r.totals.inArchive))
	for _, h := range holes {
		b = be.AppendUint64(be.AppendUint64(b, nanoseconds(h.From)), nanoseconds(h.To))
	}
	if kept {
		b = be.AppendUint32(be.AppendUint32(b, e.table.at), e.table.size)
	}
	b = be.AppendUint32(b, size)
	be.PutUint32(b[at:], crc32.Update(seed, castagnoli, b[at+4:]))
	return b
}

// parseRecord reads the record at the beginning of b and returns its size; not
// ok if it is damaged, with the size that it has if that can be believed, else 0.
func parseRecord(b []byte, seed uint32, camera understudy.CameraID, holder understudy.ServerID) (r record, size int, ok bool) {
	be := binary.BigEndian
	if len(b) < recordFixed+4 {
		return r, 0, false
	}
	size = int(be.Uint32(b[4:]))
	if size < recordFixed+4 || size > recordMost || size > len(b) || size%recordAlign != 0 || int(be.Uint32(b[size-4:])) != size {
		return r, 0, false
	}
	b = b[:size]
	if crc32.Update(seed, castagnoli, b[4:]) != be.Uint32(b) {
		return r, size, false
	}
	word := func(n int) uint64 { return be.Uint64(b[16+8*n:]) }
	e := &entry{Segment: understudy.Segment{
		ID:    understudy.SegmentID{Camera: camera, Holder: holder, Epoch: word(0), Sequence: word(1)},
		Start: timeOf(word(2)), End: timeOf(word(3)), Size: int64(word(4)),
	}}
	e.last = understudy.Watermark{At: timeOf(word(5)), Hash: understudy.SampleHash(b[64:80])}
	e.rest, e.Archived = b[10]&flagRest != 0, b[10]&flagArchived != 0
	if int(b[9]) < len(codecs) {
		e.Codec = codecs[b[9]]
	}
	holes := b[recordFixed : size-4]
	if kept := len(holes) - recordTable; b[10]&flagTable != 0 && kept >= 0 {
		e.table = tablePlace{be.Uint32(holes[kept:]), be.Uint32(holes[kept+4:])}
		holes = holes[:kept]
	}
	if len(holes)%recordHole != 0 {
		return r, size, false
	}
	for at := recordFixed; at < recordFixed+len(holes); at += recordHole {
		e.Holes = append(e.Holes, understudy.Hole{From: timeOf(be.Uint64(b[at:])), To: timeOf(be.Uint64(b[at+8:]))})
	}
	r = record{kind: recordKind(b[8]), entry: e, totals: totals{
		unfinished: int64(word(8)), count: be.Uint32(b[12:]), bytes: int64(word(9)), end: timeOf(word(10)), low: word(11), high: word(12),
		archived: be.Uint32(b[120:]), inArchive: int64(be.Uint64(b[124:]))}}
	ok = r.kind >= recordBegun && r.kind <= recordGone && (r.kind != recordClosed || e.Size > 0 && !e.Start.IsZero() && !e.End.Before(e.Start))
	e.Closed = r.kind == recordClosed
	return r, size, ok
}

// parseLast reads the last record of an index file, of which b is the end.
func parseLast(b []byte, seed uint32, camera understudy.CameraID, holder understudy.ServerID) (record, bool) {
	if len(b) < 4 {
		return record{}, false
	}
	size := int(binary.BigEndian.Uint32(b[len(b)-4:]))
	if size > len(b) || size < recordFixed+4 {
		return record{}, false
	}
	r, got, ok := parseRecord(b[len(b)-size:], seed, camera, holder)
	return r, ok && got == size
}
