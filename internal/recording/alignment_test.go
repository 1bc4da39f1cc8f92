package recording

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

// mirroring is a Mirror with a ring, and the truth about both: which frame is which.
type mirroring struct {
	gop, period int           // of the source, in frames; a period of 0: no frame is like another
	skew        time.Duration // of the other server's clock
	mirror      Mirror
	ring        []*understudy.Sample
	opened      int // frame with which the ring began
	next        int
	durable     int // frame that the other server has told to have; -1 none
}

func (m *mirroring) at(frame int) time.Time { return noon.Add(time.Duration(frame) * frameEvery) }

func (m *mirroring) name(frame int) (h understudy.SampleHash) {
	if m.period > 0 {
		frame %= m.period
	}
	binary.BigEndian.PutUint64(h[:], uint64(frame+1))
	return h
}

// come lets frames come here up to one.
func (m *mirroring) come(to int) {
	for ; m.next < to; m.next++ {
		s := &understudy.Sample{Track: understudy.VideoTrack, At: m.at(m.next), Hash: m.name(m.next), Key: m.next%m.gop == 0}
		m.mirror.Saw(s, m.at(m.next))
		if len(m.ring) == 0 && !s.Key {
			continue
		}
		if len(m.ring) == 0 {
			m.opened = m.next
		}
		m.ring = append(m.ring[m.mirror.Passed(m.ring, understudy.RecordingRule{}):], s)
	}
}

func (m *mirroring) tell(frame int) {
	m.mirror.Tell(understudy.Watermark{At: m.at(frame).Add(m.skew), Hash: m.name(frame)}, m.at(m.next))
	m.durable = max(m.durable, frame)
}

// first is the first frame in memory.
func (m *mirroring) first() int { return int(m.ring[0].At.Sub(noon) / frameEvery) }

// missing says what of all that the other server may lose is not in memory any more.
func (m *mirroring) missing() string {
	if len(m.ring) == 0 {
		return ""
	}
	if first := m.first(); first > m.opened && first > m.durable+1 {
		return fmt.Sprintf("frames %d to %d; the other server has up to %d, the stream was opened at %d, %d have come",
			m.durable+1, first-1, m.durable, m.opened, m.next)
	}
	return ""
}

// source draws a camera, and how far the two clocks are apart. The less its frames
// differ, the less can be told from them, and the more the clocks have to say.
func source(r *rapid.T) *mirroring {
	m := &mirroring{gop: rapid.IntRange(2, 60).Draw(r, "frames of a GOP"), durable: -1}
	switch rapid.IntRange(0, 2).Draw(r, "source") {
	case 0:
		m.skew = time.Duration(rapid.IntRange(-600_000, 600_000).Draw(r, "clocks apart in ms")) * time.Millisecond
	case 1:
		m.period = m.gop * rapid.IntRange(1, 8).Draw(r, "GOPs until it repeats")
		m.skew = time.Duration(rapid.IntRange(-30, 30).Draw(r, "clocks apart in ms")) * time.Millisecond
	case 2:
		m.period = rapid.IntRange(1, 100).Draw(r, "frames until it repeats")
	}
	return m
}

// Whatever the other server tells, late or not, of a stream that was opened before
// or after what it tells of: nothing that it may lose leaves the memory.
func TestNothingThatMayBeLostIsLetGo(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := source(r)
		m.next = rapid.IntRange(0, 400).Draw(r, "frames before the stream is opened")
		slow := rapid.SampledFrom([]int{20, 60, 300}).Draw(r, "frames that the other server is behind at most")
		for n := rapid.IntRange(1, 60).Draw(r, "watermarks"); n > 0; n-- {
			m.come(m.next + rapid.IntRange(1, 60).Draw(r, "frames"))
			if frame := m.next - 1 - rapid.IntRange(0, slow).Draw(r, "behind"); frame > m.durable {
				m.tell(frame)
			}
			m.come(m.next + 1)
			if missing := m.missing(); missing != "" {
				r.Fatal(missing)
			}
		}
	})
}

// A server that works, and whose clock is set meanwhile by any amount, is followed
// again, whatever the source repeats. Only where that is set back by less than what
// is remembered of a source that repeats itself, it may as well be far behind.
func TestAClockThatIsSetIsLearned(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := source(r)
		follow := func(seconds int) {
			for range seconds {
				m.come(m.next + 25)
				m.tell(m.next - 1 - rapid.IntRange(1, 30).Draw(r, "behind"))
				if missing := m.missing(); missing != "" {
					r.Fatal(missing)
				}
			}
		}
		follow(rapid.IntRange(0, 100).Draw(r, "seconds before"))
		set := rapid.IntRange(2_500, 600_000).Draw(r, "clock set by ms") // a source that repeats itself within less tells nothing of less
		m.skew += time.Duration(rapid.SampledFrom([]int{-set, set}).Draw(r, "which way")) * time.Millisecond
		follow(60 + int(min(m.skew.Abs(), mostLag)/time.Second))
		if m.period > 0 && m.skew < 0 && m.skew > -2*trailLength*frameEvery {
			return
		}
		m.come(m.next + 1)
		if kept := m.next - m.first(); kept > 50+2*m.gop+int(plainLag/frameEvery)+max(m.gop, m.period) {
			r.Fatalf("%d frames are in memory, and the other server follows", kept)
		}
		if !m.mirror.Follows(m.at(m.next), m.at(m.next)) {
			r.Fatal("the other server is not seen to follow")
		}
	})
}

// What the other server has of a time in which nothing came here says nothing of
// the clocks, though a source that loops has the same names a loop before.
func TestFramesThatDidNotComeMoveNoClock(t *testing.T) {
	m := &mirroring{gop: 25, period: 200, durable: -1}
	for frame := gop; frame < 1500; frame += gop {
		if frame == 500 { // nothing comes for 3 s
			m.next += 3 * gop
		}
		m.come(max(m.next, frame))
		m.tell(max(0, frame-70))
		if skew := m.mirror.alignment.skew; skew.Abs() > sameOffset {
			t.Fatalf("at frame %d the clocks are believed to be %v apart", frame, skew)
		}
	}
	if first := m.first(); first < 1300 {
		t.Errorf("frames from %d on are still in memory", first)
	}
}
