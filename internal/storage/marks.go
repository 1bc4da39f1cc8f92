package storage

import (
	"sync"

	"understudy"
)

// marksKept bounds the marks of closed segments in memory: some 14 MB, two hours
// of one camera at 30 frames a second.
const marksKept = 1 << 18

// marksCache keeps marks that were read from closed segments, which never change: a
// timeline is asked for again and again, in steps that overlap. What came first goes first.
type marksCache struct {
	mu    sync.Mutex
	kept  map[understudy.SegmentID][]understudy.SampleMark
	order []understudy.SegmentID // as they came
	marks int
}

func (c *marksCache) get(id understudy.SegmentID) []understudy.SampleMark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[id]
}

func (c *marksCache) put(id understudy.SegmentID, marks []understudy.SampleMark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.kept[id]; ok || len(marks) > marksKept/4 {
		return
	}
	if c.kept == nil {
		c.kept = map[understudy.SegmentID][]understudy.SampleMark{}
	}
	c.kept[id] = marks
	c.order = append(c.order, id)
	c.marks += len(marks)
	for c.marks > marksKept {
		oldest := c.order[0]
		c.order = c.order[1:]
		c.marks -= len(c.kept[oldest])
		delete(c.kept, oldest)
	}
}
