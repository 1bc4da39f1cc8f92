package fmp4

import (
	"encoding/binary"
	"math"
	"slices"

	"understudy"
)

// index is the sample tables of a file that is not fragmented (ISO/IEC 14496-12
// §8.6, §8.7), a table a track.
type index []table

// table is one track's. Runs are kept as the boxes have them, so that a sample
// that is like its neighbours takes its size only.
type table struct {
	count    int
	first    int64 // decode time of the first sample
	last     int64 // of the last one
	end      int64 // of the last one
	times    []pair
	offsets  []pair // composition
	shifted  bool   // an offset is not 0
	sizes    []uint32
	keys     []uint32 // numbers of key samples
	chunks   []int64  // offsets behind the head
	perChunk []pair   // first chunk, samples
}

// pair is an entry of a run-length table.
type pair struct{ a, b uint32 }

// add enters the samples of a fragment, whose payloads begin at offset, and
// returns where they end.
func (x index) add(c course, samples []TimedSample, offset int64) int64 {
	for i := range x {
		t := &x[i]
		n := uint32(0)
		for _, s := range samples {
			if s.Track != i+1 {
				continue
			}
			if n == 0 {
				t.chunks = append(t.chunks, offset)
			}
			n++
			t.sample(s, c)
			offset += int64(s.bytes())
		}
		if n > 0 && (len(t.perChunk) == 0 || t.perChunk[len(t.perChunk)-1].b != n) {
			t.perChunk = append(t.perChunk, pair{uint32(len(t.chunks)), n})
		}
	}
	return offset
}

func (t *table) sample(s TimedSample, c course) {
	scale := c.tracks[s.Track-1].TimeScale
	at := ticks(s.At.Sub(c.start()), scale)
	if t.count == 0 {
		t.first = at
	} else {
		at = max(at, t.last+1)
		t.times = repeat(t.times, clamp(at-t.last))
	}
	t.last, t.end = at, max(at+1, ticks(s.End().Sub(c.start()), scale))
	offset := clamp(ticks(s.Offset, scale))
	t.offsets = repeat(t.offsets, offset)
	t.shifted = t.shifted || offset > 0
	t.sizes = append(t.sizes, uint32(s.bytes()))
	t.count++
	if s.Key {
		t.keys = append(t.keys, uint32(t.count))
	}
}

// repeat counts one more of b at the end of runs.
func repeat(runs []pair, b uint32) []pair {
	if n := len(runs) - 1; n >= 0 && runs[n].b == b {
		runs[n].a++
		return runs
	}
	return append(runs, pair{1, b})
}

func clamp(n int64) uint32 { return uint32(min(max(n, 0), math.MaxInt32)) }

// movieScale is units a second of the file's own times (ISO/IEC 14496-12 §8.2.2).
const movieScale = 90000

// head returns ftyp, moov and the header of an mdat of so many bytes.
func (x index) head(tracks []understudy.Track, media int64) ([]byte, error) {
	init, err := MarshalInit(tracks)
	if err != nil {
		return nil, err
	}
	ftyp := box("ftyp", []byte("isom\x00\x00\x02\x00isomiso2mp41"))
	const mdat = 16
	wide := false
	moov := x.moov(tracks, init, 0, wide)
	if int64(len(ftyp)+len(moov)+mdat)+media > math.MaxUint32 {
		wide = true
		moov = x.moov(tracks, init, 0, wide)
	}
	moov = x.moov(tracks, init, int64(len(ftyp)+len(moov)+mdat), wide)
	b := append(ftyp, moov...)
	b = append(binary.BigEndian.AppendUint32(b, 1), "mdat"...) // its size follows as 64 bits
	return binary.BigEndian.AppendUint64(b, uint64(media+mdat)), nil
}

// moov writes the tables, for media that begins at data.
func (x index) moov(tracks []understudy.Track, init []byte, data int64, wide bool) []byte {
	boxes := children(find(init, "moov"))
	traks := slices.DeleteFunc(slices.Clone(boxes), func(b []byte) bool { return string(b[4:8]) != "trak" })
	longest := int64(0)
	var written []byte
	for i, t := range x {
		if t.count == 0 {
			continue // a track that was never heard of again
		}
		scale := int64(tracks[i].TimeScale)
		begin, length := t.first*movieScale/scale, (t.end-t.first)*movieScale/scale
		longest = max(longest, begin+length)
		written = append(written, t.trak(tracks[i], traks[i], begin, length, data, wide)...)
	}
	mvhd := u32s(nil, 1<<24, 0, 0, 0, 0, movieScale)
	mvhd = binary.BigEndian.AppendUint64(mvhd, uint64(longest))
	mvhd = u32s(mvhd, 0x00010000, 0x01000000, 0, 0)
	mvhd = append(mvhd, matrix()...)
	mvhd = append(mvhd, make([]byte, 24)...)
	mvhd = u32s(mvhd, uint32(len(x)+1))
	return box("moov", box("mvhd", mvhd), written)
}

// trak writes a track: what describes it as the init has it, and its tables.
func (t *table) trak(track understudy.Track, from []byte, begin, length, data int64, wide bool) []byte {
	mdia := find(from[8:], "mdia")
	minf := find(mdia, "minf")
	stsd := named(find(minf, "stbl"), "stsd")
	volume := uint32(0)
	if !track.Codec.Video() {
		volume = 0x01000000
	}
	tkhd := u32s(nil, 1<<24|3, 0, 0, 0, 0, uint32(track.ID), 0)
	tkhd = binary.BigEndian.AppendUint64(tkhd, uint64(begin+length))
	tkhd = u32s(tkhd, 0, 0, 0, volume)
	tkhd = append(tkhd, matrix()...)
	was := named(from[8:], "tkhd")
	tkhd = append(tkhd, was[len(was)-8:]...) // width and height
	var edts []byte
	if begin > 0 {
		elst := u32s(nil, 1<<24, 2)
		elst = binary.BigEndian.AppendUint64(elst, uint64(begin))
		elst = binary.BigEndian.AppendUint64(elst, math.MaxUint64) // nothing is shown
		elst = u32s(elst, 0x00010000)
		elst = binary.BigEndian.AppendUint64(elst, uint64(length))
		elst = binary.BigEndian.AppendUint64(elst, 0)
		edts = box("edts", box("elst", u32s(elst, 0x00010000)))
	}
	mdhd := u32s(nil, 1<<24, 0, 0, 0, 0, track.TimeScale)
	mdhd = binary.BigEndian.AppendUint64(mdhd, uint64(t.end-t.first))
	mdhd = u32s(mdhd, 0x55c40000) // language: undetermined
	media := [][]byte{box("mdhd", mdhd), named(mdia, "hdlr")}
	header := named(minf, "vmhd")
	if header == nil {
		header = named(minf, "smhd")
	}
	stbl := box("stbl", stsd, t.stts(), t.stss(), t.ctts(), t.stsc(), t.stsz(), t.stco(data, wide))
	media = append(media, box("minf", header, named(minf, "dinf"), stbl))
	return box("trak", box("tkhd", tkhd), edts, box("mdia", media...))
}

func (t *table) stts() []byte {
	runs := repeat(slices.Clone(t.times), clamp(t.end-t.last))
	return box("stts", pairs(u32s(nil, 0, uint32(len(runs))), runs))
}

func (t *table) ctts() []byte {
	if !t.shifted {
		return nil
	}
	return box("ctts", pairs(u32s(nil, 0, uint32(len(t.offsets))), t.offsets))
}

// stss is left out where all samples are key samples.
func (t *table) stss() []byte {
	if len(t.keys) == t.count {
		return nil
	}
	return box("stss", u32s(u32s(nil, 0, uint32(len(t.keys))), t.keys...))
}

func (t *table) stsc() []byte {
	b := u32s(nil, 0, uint32(len(t.perChunk)))
	for _, p := range t.perChunk {
		b = u32s(b, p.a, p.b, 1)
	}
	return box("stsc", b)
}

func (t *table) stsz() []byte {
	return box("stsz", u32s(u32s(nil, 0, 0, uint32(t.count)), t.sizes...))
}

func (t *table) stco(data int64, wide bool) []byte {
	b := u32s(nil, 0, uint32(len(t.chunks)))
	for _, at := range t.chunks {
		if wide {
			b = binary.BigEndian.AppendUint64(b, uint64(data+at))
		} else {
			b = binary.BigEndian.AppendUint32(b, uint32(data+at))
		}
	}
	if wide {
		return box("co64", b)
	}
	return box("stco", b)
}

func pairs(b []byte, runs []pair) []byte {
	for _, p := range runs {
		b = u32s(b, p.a, p.b)
	}
	return b
}

func u32s(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// matrix is the one that turns nothing.
func matrix() []byte { return u32s(nil, 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) }

func box(kind string, contents ...[]byte) []byte {
	size := 8
	for _, c := range contents {
		size += len(c)
	}
	b := appendBox(make([]byte, 0, size), size, kind)
	for _, c := range contents {
		b = append(b, c...)
	}
	return b
}

// children divides the content of a box, which MarshalInit made, into boxes.
func children(content []byte) (boxes [][]byte) {
	for len(content) >= 8 {
		size := int(binary.BigEndian.Uint32(content))
		boxes = append(boxes, content[:size])
		content = content[size:]
	}
	return boxes
}

// named returns the whole box of that kind; nil if there is none.
func named(content []byte, kind string) []byte {
	for _, b := range children(content) {
		if string(b[4:8]) == kind {
			return b
		}
	}
	return nil
}

// find returns the content of the box of that kind.
func find(content []byte, kind string) []byte {
	if b := named(content, kind); b != nil {
		return b[8:]
	}
	return nil
}
