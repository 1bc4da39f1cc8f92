package supervise

import (
	"fmt"
	"strings"
	"time"

	"understudy"
)

const (
	// stuckAfter is how long nothing of what comes becomes durable before a server
	// that says that its storage is well is called stuck. Failover servers stand in
	// long before.
	stuckAfter = 30 * time.Second
	// pausedFor is a pause between two looks after which nothing is held against the server.
	pausedFor = 10 * time.Second
)

// Media judges a recording or failover server.
type Media struct {
	State      func() understudy.State
	Assignment func() understudy.Assignment

	looked  time.Time
	moved   time.Time // when a watermark last moved, or none had to
	cameras map[understudy.CameraID]progress
}

// progress is of one camera that sends.
type progress struct {
	mark  understudy.Watermark
	begun bool // it has moved since it was first seen
}

// Ready says whether it records what it is there for, as far as that is up to it.
func (m *Media) Ready() (bool, string) {
	s := m.State()
	recorded, expected, fault := 0, 0, ""
	wanted := m.wanted()
	for _, c := range s.Cameras {
		if _, ours := wanted[c.Camera]; !ours {
			continue
		}
		expected++
		switch {
		case c.Recording || c.Waiting:
			recorded++
		case fault == "" && c.Fault != "":
			fault = "; " + c.Fault
		}
	}
	sentence := fmt.Sprintf("records %d of %d cameras%s", recorded, expected, fault)
	switch {
	case s.Leaving != "":
		return false, "is about to stop: " + s.Leaving
	case !s.Storage.Writable:
		return false, "the storage cannot be written: " + s.Storage.Sentence
	case s.Storage.Sentence != "":
		return true, sentence + "; " + s.Storage.Sentence
	case expected == 0 && s.Role == understudy.RoleFailover:
		return true, fmt.Sprintf("stands by, and watches %d servers that are well", len(s.Seen))
	}
	return true, sentence
}

// wanted are the cameras that are to be recorded, and whether always.
func (m *Media) wanted() map[understudy.CameraID]bool {
	wanted := map[understudy.CameraID]bool{}
	for _, a := range m.Assignment().Cameras {
		if a.Record && !a.Mirror {
			wanted[a.Camera.ID] = a.Camera.Rule.Mode != understudy.RecordEvents
		}
	}
	return wanted
}

// Alive says whether the server gets on: while cameras that are always recorded
// send, and the storage says that it is well, some watermark moves. What a new
// start would not mend is not held against it: cameras that are away, a disk
// that fails, a camera of which nothing became durable since the start.
func (m *Media) Alive() (bool, string) {
	return m.look(time.Now(), m.State(), m.wanted())
}

func (m *Media) look(now time.Time, s understudy.State, wanted map[understudy.CameraID]bool) (bool, string) {
	if now.Sub(m.looked) > pausedFor {
		m.moved = now
	}
	m.looked = now
	cameras, due := map[understudy.CameraID]progress{}, []string{}
	for _, c := range s.Cameras {
		if !wanted[c.Camera] || !c.Receiving || c.Mirrored {
			continue
		}
		before, known := m.cameras[c.Camera]
		after := progress{c.Watermark, before.begun || known && c.Watermark != before.mark}
		if known && after.mark != before.mark {
			m.moved = now
		}
		if cameras[c.Camera] = after; after.begun {
			due = append(due, string(c.Camera))
		}
	}
	m.cameras = cameras
	if len(due) == 0 || !s.Storage.Writable {
		m.moved = now
	}
	if stood := now.Sub(m.moved); stood > stuckAfter {
		return false, fmt.Sprintf("nothing has become durable for %s although %d cameras send and the storage says that it is well: %s",
			stood.Round(time.Second), len(due), strings.Join(due[:min(len(due), 5)], ", "))
	}
	return true, ""
}
