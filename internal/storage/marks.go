package storage

import (
	"sync"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// openMark is a mark of a segment that is being written. It has no pointer: the
// garbage collector would look at each of a minute of each camera, again and again.
type openMark struct {
	at       int64 // ns since 1970
	duration time.Duration
	hash     understudy.SampleHash
	key      bool
}

func openMarkOf(s fmp4.TimedSample) openMark {
	return openMark{at: s.At.UnixNano(), duration: s.Duration, hash: s.Hash, key: s.Key}
}

func (m openMark) start() time.Time { return time.Unix(0, m.at).UTC() }
func (m openMark) end() time.Time   { return m.start().Add(m.duration) }

// sampleMarks returns marks as others know them; nil of none.
func sampleMarks(open []openMark) []understudy.SampleMark {
	if len(open) == 0 {
		return nil
	}
	marks := make([]understudy.SampleMark, len(open))
	for i, m := range open {
		marks[i] = understudy.SampleMark{At: m.start(), Duration: m.duration, Key: m.key, Hash: m.hash}
	}
	return marks
}

// marksKept bounds the marks of closed segments in memory: some 14 MB, two hours
// of one camera at 30 frames a second.
const marksKept = 1 << 18

// marksCache keeps marks, and where fragments lie, that were read from closed segments, which never change: a
// timeline is asked for again and again, in steps that overlap. What came first goes first.
type marksCache struct {
	mu    sync.Mutex
	kept  map[understudy.SegmentID]seekTable
	order []understudy.SegmentID // as they came
	marks int
}

func (c *marksCache) get(id understudy.SegmentID) seekTable {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[id]
}

// drop forgets the marks of a segment in which damage was found.
func (c *marksCache) drop(id understudy.SegmentID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks -= len(c.kept[id].marks)
	delete(c.kept, id)
}

func (c *marksCache) put(id understudy.SegmentID, table seekTable) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.kept[id]; ok || len(table.marks) > marksKept/4 {
		return
	}
	if c.kept == nil {
		c.kept = map[understudy.SegmentID]seekTable{}
	}
	c.kept[id] = table
	c.order = append(c.order, id)
	c.marks += len(table.marks)
	for c.marks > marksKept {
		oldest := c.order[0]
		c.order = c.order[1:]
		c.marks -= len(c.kept[oldest].marks)
		delete(c.kept, oldest)
	}
}
