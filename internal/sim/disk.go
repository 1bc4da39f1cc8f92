package sim

import (
	"encoding/binary"
	"time"

	"understudy"
)

// disk is a media database: what is in memory, what is written and what is
// synced are three things.
type disk struct {
	m           *machine
	segments    []*segment
	sequence    uint64
	incarnation string
	formatted   int
	renewed     time.Duration
	broken      bool          // writes fail
	slow        time.Duration // longer that a sync takes
	since       time.Duration // of broken and slow
	writable    bool          // as the server has found
	syncing     bool
	pending     []pending // is being synced
	lagging     bool      // a slow sync has begun and not ended
}

// segment is a file: a run of frames of one camera.
type segment struct {
	id               understudy.SegmentID
	cam              *camera
	first, last      int // frames
	written, durable int // of them, up to here; first-1: none
	closed           bool
	imported         bool
	deleted          bool
	content          []byte // once closed
}

// pending is a segment that is being synced up to a frame.
type pending struct {
	*segment
	upTo int
}

const syncEvery = time.Second

func newDisk(m *machine) *disk {
	d := &disk{m: m, writable: true}
	d.format()
	return d
}

// format is a new disk in the place of the old one.
func (d *disk) format() {
	d.formatted++
	d.renewed = d.m.s.now
	d.segments = nil
	d.incarnation = string(d.m.id) + "#" + string(rune('0'+d.formatted%10))
}

// open is what recovery does at a start, and begins the timer of syncs.
func (d *disk) open() {
	d.syncing, d.lagging, d.writable = false, false, !d.broken
	for _, g := range d.segments {
		g.closed, g.durable = true, g.written
		d.m.s.oracle.durable(g, g.first, g.durable)
	}
	d.m.after(between(d.m.s.disks, 0, syncEvery), func() { d.m.every(syncEvery, d.sync) })
}

// lose drops what the end of a process (what was in memory), or of the power (what was not synced), takes with it.
func (d *disk) lose(power bool) {
	kept := d.segments[:0]
	for _, g := range d.segments {
		end := g.written
		if power {
			end = g.durable
		}
		g.last, g.written, g.closed = end, end, true
		g.durable = min(g.durable, end)
		if g.last >= g.first {
			kept = append(kept, g)
		}
	}
	d.segments = kept
}

func (d *disk) create(s *session, first int) *segment {
	d.sequence++
	g := &segment{id: understudy.SegmentID{Camera: s.cam.id, Epoch: s.epoch, Holder: d.m.id, Sequence: d.sequence},
		cam: s.cam, first: first, last: first, written: first - 1, durable: first - 1}
	d.segments = append(d.segments, g)
	return g
}

// sync writes what was received and waits for the disk; then the watermarks move.
func (d *disk) sync() {
	if d.syncing {
		return
	}
	if d.broken {
		if d.writable {
			d.m.s.say("the disk of %s fails", d.m.id)
		}
		d.writable = false
		d.drop()
		return
	}
	d.writable = true
	d.pending = d.pending[:0]
	for _, g := range d.segments {
		if g.last > g.durable {
			g.written = g.last
			d.pending = append(d.pending, pending{g, g.last})
		}
	}
	if len(d.pending) == 0 {
		return
	}
	d.syncing = true
	slow := d.slow
	d.lagging = slow > 0
	d.m.after(between(d.m.s.disks, 3*time.Millisecond, 40*time.Millisecond)+slow, func() {
		if d.lagging = false; slow > 0 {
			d.since = d.m.s.now
		}
		d.synced()
	})
}

func (d *disk) synced() {
	d.syncing = false
	if d.broken {
		return // the sync failed; what was not durable is dropped at the next one
	}
	for _, p := range d.pending {
		g := p.segment
		if g.deleted || p.upTo <= g.durable {
			continue
		}
		d.m.s.oracle.durable(g, g.durable+1, p.upTo)
		g.durable = p.upTo
		if s := d.m.rec.sessions[g.cam.index]; s != nil && g.durable > s.mark {
			s.mark, s.moved = g.durable, d.m.s.now
		}
	}
}

// drop gives up what could not be written.
func (d *disk) drop() {
	for _, s := range d.m.rec.sessions {
		if s != nil {
			s.cut()
		}
	}
	kept := d.segments[:0]
	for _, g := range d.segments {
		g.last, g.written, g.closed = g.durable, g.durable, true
		if g.last >= g.first {
			kept = append(kept, g)
		}
	}
	d.segments = kept
}

// newest is the newest durable frame of a camera that this server recorded; -1 none.
func (d *disk) newest(c *camera) int {
	newest := -1
	for _, g := range d.segments {
		if g.cam == c && g.id.Holder == d.m.id && g.durable >= g.first {
			newest = max(newest, g.durable)
		}
	}
	return newest
}

// whole reports a segment that is closed and durable.
func (g *segment) whole() bool { return g.closed && g.durable == g.last }

func (d *disk) find(id understudy.SegmentID) *segment {
	for _, g := range d.segments {
		if g.id == id {
			return g
		}
	}
	return nil
}

func (d *disk) delete(g *segment) {
	g.deleted = true
	for i, other := range d.segments {
		if other == g {
			d.segments = append(d.segments[:i:i], d.segments[i+1:]...)
			return
		}
	}
}

// bytes are what a segment is on the wire: its run of frames, and some more for each.
func (g *segment) bytes() []byte {
	if g.content == nil {
		b := binary.BigEndian.AppendUint32(nil, uint32(g.cam.index))
		b = binary.BigEndian.AppendUint32(b, uint32(g.first))
		b = binary.BigEndian.AppendUint32(b, uint32(g.last))
		for n := g.first; n <= g.last; n++ {
			h := g.cam.hash(n)
			b = append(b, h[:4]...)
		}
		g.content = b
	}
	return g.content
}

// foreign are the whole segments of other servers' cameras.
func (d *disk) foreign(home understudy.ServerID) []understudy.Segment {
	var all []understudy.Segment
	for _, g := range d.segments {
		if g.whole() && g.cam.home.id == home && g.cam.home.id != d.m.id {
			all = append(all, understudy.Segment{ID: g.id, Closed: true, Size: int64(len(g.bytes())),
				Start: g.cam.mark(g.first).At, End: g.cam.mark(g.last).At.Add(g.cam.interval)})
		}
	}
	return all
}

// take makes a segment that came from elsewhere durable here.
func (d *disk) take(id understudy.SegmentID, content []byte) {
	c := d.m.s.cameras[binary.BigEndian.Uint32(content)]
	first, last := int(binary.BigEndian.Uint32(content[4:])), int(binary.BigEndian.Uint32(content[8:]))
	g := &segment{id: id, cam: c, first: first, last: last, written: last, durable: last, closed: true, imported: true, content: content}
	d.segments = append(d.segments, g)
	d.m.s.oracle.durable(g, first, last)
}

// holds reports a frame that is durable here.
func (d *disk) holds(c *camera, n int) bool {
	for _, g := range d.segments {
		if g.cam == c && n >= g.first && n <= g.durable {
			return true
		}
	}
	return false
}
