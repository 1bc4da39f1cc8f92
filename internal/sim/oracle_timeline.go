package sim

import (
	"time"

	"understudy"
)

// timeline: what lies at home in the end is shown, whoever recorded it; of a camera
// that does not repeat itself each frame once.
func (o *oracle) timeline() {
	for _, c := range o.s.cameras {
		segments, first := c.footage()
		shown := make([]int, len(c.frames))
		for _, piece := range understudy.Join(c.home.id, segments) {
			for n := range piece.Count {
				shown[first[piece.Segment]+piece.First+n]++
			}
		}
		for n, times := range shown {
			if held := c.home.disk.holds(c, n); held && (times == 0 || times > 1 && c.loop == 0) {
				o.s.fail("frame %d of camera %s lies at home and is shown %d times", n, c.id, times)
				return
			}
		}
	}
}

// footage is what lies at home of the camera, and the first frame of each segment.
func (c *camera) footage() ([]understudy.Segment, map[understudy.SegmentID]int) {
	var all []understudy.Segment
	first := map[understudy.SegmentID]int{}
	for _, g := range c.home.disk.segments {
		if g.cam != c || g.durable < g.first {
			continue
		}
		apart := c.s.oracle.holder(g.id.Holder).offset % (20 * time.Millisecond) // the clocks of servers that keep time are not one
		segment := understudy.Segment{ID: g.id, Closed: g.closed, Start: c.mark(g.first).At.Add(apart), End: c.mark(g.durable).At.Add(c.interval + apart)}
		for n := g.first; n <= g.durable; n++ {
			mark := c.mark(n)
			segment.Marks = append(segment.Marks, understudy.SampleMark{At: mark.At.Add(apart), Duration: c.interval, Key: c.frames[n].key, Hash: mark.Hash})
		}
		all, first[g.id] = append(all, segment), g.first
	}
	return all, first
}
