package fmp4

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"understudy"
)

// moof is a parsed moof box: all of a fragment but the payloads.
type moof struct {
	sequence uint32
	samples  []TimedSample // without payloads
	sizes    []int
	decode   []int64 // times, in units of the sample's track
	payload  int     // sum of sizes
	crcAt    int     // where the checksum is, from the moof's first byte
}

// cursor takes a byte slice apart; once something is wrong, ok stays false.
type cursor struct {
	b  []byte
	ok bool
}

func (c *cursor) take(n int) []byte {
	if !c.ok || n < 0 || n > len(c.b) {
		c.ok = false
		return make([]byte, max(0, min(n, 64)))
	}
	taken := c.b[:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) uint32() uint32 { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) uint64() uint64 { return binary.BigEndian.Uint64(c.take(8)) }

func (c *cursor) expect(v uint32) { c.ok = c.uint32() == v && c.ok }

// box opens a box that must be of that kind and returns its content.
func (c *cursor) box(kind string) *cursor {
	size := c.uint32()
	c.ok = string(c.take(4)) == kind && size >= 8 && c.ok
	return &cursor{c.take(int(size) - 8), c.ok}
}

// done closes a box: all of its content must have been understood.
func (c *cursor) done(inner *cursor) { c.ok = c.ok && inner.ok && len(inner.b) == 0 }

// next reports the kind of the box that follows.
func (c *cursor) next() string {
	if !c.ok || len(c.b) < 8 {
		return ""
	}
	return string(c.b[4:8])
}

// parseMoof reads a moof box, header included, exactly as MarshalFragment
// writes it; anything else is not ours, and an end.
func parseMoof(b []byte, tracks []understudy.Track) (moof, bool) {
	var m moof
	outer := &cursor{b, true}
	c := outer.box("moof")
	mfhd := c.box("mfhd")
	mfhd.expect(0)
	m.sequence = mfhd.uint32()
	c.done(mfhd)
	for lastTrack := 0; c.next() == "traf"; {
		traf := c.box("traf")
		id := m.parseTraf(traf, tracks)
		c.done(traf)
		c.ok = c.ok && id > lastTrack
		lastTrack = id
	}
	m.crcAt = len(b) - len(c.b) + 8 + 16 + 4
	private := c.box("uuid")
	m.parsePrivate(private)
	c.done(private)
	outer.done(c)
	return m, outer.ok && len(outer.b) == 0 && len(m.samples) > 0 && m.payload <= maxFragment
}

func (m *moof) parseTraf(traf *cursor, tracks []understudy.Track) (id int) {
	tfhd := traf.box("tfhd")
	tfhd.expect(tfhdFlags)
	id = int(tfhd.uint32())
	traf.done(tfhd)
	tfdt := traf.box("tfdt")
	tfdt.expect(1 << 24)
	at := int64(tfdt.uint64())
	traf.done(tfdt)
	trun := traf.box("trun")
	trun.expect(1<<24 | trunFlags)
	count := int(trun.uint32())
	trun.uint32() // the data offset follows from the sizes
	if id < 1 || id > len(tracks) || count < 1 || count*trunEntrySize != len(trun.b) {
		traf.ok = false
		return 0
	}
	scale := int64(tracks[id-1].TimeScale)
	block := make([]understudy.Sample, count)
	for i := range block {
		m.decode = append(m.decode, at)
		at += int64(trun.uint32()) // the duration in nanoseconds is in the private box
		size := int(trun.uint32())
		flags, offset := trun.uint32(), int64(trun.uint32())
		m.sizes = append(m.sizes, size)
		m.payload += size
		block[i] = understudy.Sample{
			Track:  id,
			Key:    flags == syncSample,
			Offset: time.Duration(offset/scale)*time.Second + time.Duration(offset%scale)*time.Second/time.Duration(scale),
		}
		m.samples = append(m.samples, TimedSample{Sample: &block[i]})
	}
	traf.done(trun)
	return id
}

func (m *moof) parsePrivate(c *cursor) {
	c.ok = [16]byte(c.take(16)) == fragmentUUID && c.ok
	c.expect(boxVersion << 24)
	c.uint32() // the checksum
	if len(c.b) != len(m.samples)*entrySize {
		c.ok = false
		return
	}
	for i := range m.samples {
		s := &m.samples[i]
		s.At = time.Unix(0, int64(c.uint64())).UTC()
		s.Duration = time.Duration(c.uint64())
		s.Hash = understudy.SampleHash(c.take(16))
		c.ok = c.ok && s.Duration >= 0
	}
}

// verify reports whether the checksum of a whole fragment is right, and gives
// the samples their payloads, which start at the end of the mdat's header.
func (m *moof) verify(fragment []byte, moofSize int) bool {
	sum := crc32.Update(0, castagnoli, fragment[:m.crcAt])
	sum = crc32.Update(sum, castagnoli, []byte{0, 0, 0, 0})
	sum = crc32.Update(sum, castagnoli, fragment[m.crcAt+4:])
	if sum != binary.BigEndian.Uint32(fragment[m.crcAt:]) {
		return false
	}
	rest := fragment[moofSize+8:]
	for i, size := range m.sizes {
		m.samples[i].Payload = rest[:size:size]
		rest = rest[size:]
	}
	return true
}

// retime gives the samples the times at which a composed file shows them, in
// place of those at which they were captured.
func (m *moof) retime(start time.Time, tracks []understudy.Track) {
	for i := range m.samples {
		s := &m.samples[i]
		scale := int64(tracks[s.Track-1].TimeScale)
		at := m.decode[i]
		s.At = start.Add(time.Duration(at/scale)*time.Second + time.Duration(at%scale)*time.Second/time.Duration(scale))
	}
}

// pictures returns how many video samples there are.
func (m *moof) pictures() (n int) {
	for _, s := range m.samples {
		if s.Track == understudy.VideoTrack {
			n++
		}
	}
	return n
}

func (m *moof) marks() []understudy.SampleMark {
	var marks []understudy.SampleMark
	for _, s := range m.samples {
		if s.Track == understudy.VideoTrack {
			marks = append(marks, s.mark())
		}
	}
	return marks
}

func (s TimedSample) mark() understudy.SampleMark {
	return understudy.SampleMark{At: s.At, Duration: s.Duration, Key: s.Key, Hash: s.Hash}
}
