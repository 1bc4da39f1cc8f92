package sim

import "understudy"

// timeline: what lies at home in the end is shown, each frame once, whoever recorded it.
func (o *oracle) timeline() {
	for _, c := range o.s.cameras {
		if c.loop > 0 {
			continue
		}
		segments, first := c.footage()
		shown := make([]int, len(c.frames))
		for _, piece := range understudy.Join(c.home.id, segments) {
			for n := range piece.Count {
				shown[first[piece.Segment]+piece.First+n]++
			}
		}
		for n, times := range shown {
			if held := c.home.disk.holds(c, n); held && times != 1 {
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
		segment := understudy.Segment{ID: g.id, Closed: g.closed, Start: c.mark(g.first).At, End: c.mark(g.durable).At.Add(c.interval)}
		for n := g.first; n <= g.durable; n++ {
			mark := c.mark(n)
			segment.Marks = append(segment.Marks, understudy.SampleMark{At: mark.At, Duration: c.interval, Key: c.frames[n].key, Hash: mark.Hash})
		}
		all, first[g.id] = append(all, segment), g.first
	}
	return all, first
}
