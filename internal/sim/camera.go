package sim

import (
	"encoding/binary"
	"time"

	"understudy"
)

// camera sends a frame each interval to whoever has a session.
type camera struct {
	s        *story
	id       understudy.CameraID
	index    int
	place    int
	home     *home
	interval time.Duration
	gop      int // frames
	loop     int // frames after which the same bytes come again; 0 never
	onPlay   bool
	sessions int // at a time; 0 is any number
	said     int // the same, as an administrator has said; 0 if nobody has
	slotLife time.Duration

	on     bool
	turned time.Duration // on or off
	force  bool          // the next frame is a key frame
	sinceK int
	frames []frame
	slots  []*slot

	held    []bool // durable at somebody, frame by frame, and not destroyed since by a new disk
	by      uint64 // who has recorded the newest frame, a bit a server
	last    time.Duration
	owed    time.Duration // somebody could record it since
	could   string
	doubled int
}

// frame is one sample as it was sent.
type frame struct {
	at     time.Duration
	key    bool
	sample *understudy.Sample // once a mirror has asked for it
}

// slot is a session that the camera counts.
type slot struct {
	of    *session // nil once the other end has vanished
	until time.Duration
}

// hash names the bytes of a frame. A loop, or a still scene, has the same again.
func (c *camera) hash(n int) understudy.SampleHash {
	content := uint64(n)
	if c.loop > 0 {
		content = uint64(n % c.loop)
	}
	if c.frames[n].key {
		content |= 1 << 40
	}
	var h understudy.SampleHash
	binary.BigEndian.PutUint64(h[:], (content+1)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(h[8:], uint64(c.index+1))
	return h
}

func (c *camera) mark(n int) understudy.Watermark {
	return understudy.Watermark{At: epoch.Add(c.frames[n].at), Hash: c.hash(n)}
}

func (c *camera) tick() {
	if !c.on {
		return
	}
	c.sinceK++
	key := len(c.frames) == 0 || c.sinceK >= c.gop || c.force
	if key {
		c.sinceK, c.force = 0, false
	}
	n := len(c.frames)
	c.frames = append(c.frames, frame{at: c.s.now, key: key})
	c.held = append(c.held, false)
	c.by = 0
	for _, slot := range c.slots {
		if s := slot.of; s != nil && s.m.hung && c.s.now-s.m.changed > c.slotLife {
			c.drop(slot) // nobody asks for it any more
		} else if s != nil {
			s.receive(n, key)
		}
	}
	c.s.oracle.recorded(c)
}

// admit opens a session if one is free.
func (c *camera) admit(s *session) *slot {
	kept := c.slots[:0]
	for _, slot := range c.slots {
		if slot.of != nil || slot.until > c.s.now {
			kept = append(kept, slot)
		}
	}
	c.slots = kept
	if c.sessions > 0 && len(c.slots) >= c.sessions {
		return nil
	}
	opened := &slot{of: s}
	c.slots = append(c.slots, opened)
	if c.onPlay {
		c.force = true
	}
	return opened
}

// left frees a slot at once if the camera was told, else after a while.
func (c *camera) left(slot *slot, told bool) {
	if slot.of == nil {
		return
	}
	slot.of, slot.until = nil, c.s.now+c.slotLife
	if told {
		slot.until = c.s.now
	}
}

// drop ends a session from the camera's side.
func (c *camera) drop(slot *slot) {
	s := slot.of
	slot.of, slot.until, s.slot = nil, c.s.now, nil
	s.m.do(s.m.boot, s.ended)
}

// turn switches the camera on or off; switched off it forgets its sessions.
func (c *camera) turn(on bool) {
	if c.on == on {
		return
	}
	c.s.say("camera %s is on: %v", c.id, on)
	c.on, c.turned = on, c.s.now
	if !on {
		for _, slot := range c.slots {
			if slot.of != nil {
				c.drop(slot)
			}
		}
		c.slots = nil
	}
}
