package storage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// makeRoom deletes the oldest segments until the folder fits, with a little to
// spare, and says so if it does not.
func (f *folder) makeRoom() {
	excess, ahead, why, err := f.excess()
	if err != nil {
		sentence := fmt.Sprintf("the recordings' disk cannot be read: %v", err)
		if f.health.failed(sentence) {
			f.store.report("", sentence)
		}
		return
	}
	if excess+ahead > 0 {
		excess -= f.deleteOldest(excess + ahead)
	}
	if excess <= 0 {
		if f.health.setFull("") {
			f.store.report("", "there is room again: recording goes on")
		}
		return
	}
	sentence := fmt.Sprintf("the disk is full: %s, and all that is left must still go home, is locked or is being written; add room, or let the footage go home", why)
	if f.health.setFull(sentence) {
		f.store.report("", sentence)
	}
}

// excess returns how many bytes are too many, and in words by which bound. It is
// negative where there is room to spare. ahead is what was written since the last
// look, or the one before if that was more: so much again will be until the next, and a disk that takes more in that
// time than the reserve has must not be full in between. What is reserved is also
// the room of indexes and notes, which are written while there is none for footage.
func (f *folder) excess() (excess, ahead int64, why string, err error) {
	var free int64
	err = f.health.do("a look at the free room", func() (err error) {
		free, err = f.fs.FreeBytes()
		return err
	})
	if err != nil {
		return 0, 0, "", err
	}
	f.health.setFree(free)
	now := f.written.Swap(0)
	ahead, f.before = max(now, f.before), now
	f.store.mu.Lock()
	used := f.used
	f.store.mu.Unlock()
	excess = f.config.MinFreeBytes - free
	if over := used - f.config.MaxBytes; f.config.MaxBytes > 0 && over > 0 && excess <= 0 {
		return over, 0, fmt.Sprintf("the store has %d MB and may have %d MB", used>>20, f.config.MaxBytes>>20), nil
	}
	return excess, ahead, fmt.Sprintf("%d MB are free and %d MB must stay free", free>>20, f.config.MinFreeBytes>>20), nil
}

// deleteOldest deletes at least so many bytes, if it may, and returns how many.
func (f *folder) deleteOldest(bytes int64) (deleted int64) {
	spare := min(bytes/8, 64<<20)
	if f.config.MaxBytes > 0 {
		spare = min(f.config.MaxBytes/100, 64<<20)
	}
	look := f.newLook(time.Now())
	for deleted < bytes+spare {
		v := f.victims.next(look)
		if v == nil {
			break
		}
		size, err := f.give(doomed{v.entry, look.reason(*v)})
		if err != nil {
			f.log.Warn("a segment could not be deleted to make room", "segment", v.ID, "err", err)
			break
		}
		deleted += size
	}
	f.store.tell(time.Now())
	return deleted
}

// The order in which segments go when there is no room. What has gone home is
// deleted at once by whoever sent it, and is none of these.
type rank int

const (
	rankExpired  rank = iota // its time has come, wherever it belongs
	rankOwn                  // belongs here, the oldest first
	rankEvent                // belongs here, and shows an event
	rankUnmerged             // must go home yet: of cameras of low priority first
	rankKept                 // stays, whatever happens
)

// victim is a segment that goes when there is no room.
type victim struct {
	*entry
	rank     rank
	priority int
}

func (v victim) compare(o victim) int {
	return cmp.Or(cmp.Compare(v.rank, o.rank), cmp.Compare(v.priority, o.priority), byAge(v.entry, o.entry))
}

// look is what is known of the cameras at one moment, each asked once.
type look struct {
	folder  *folder
	now     time.Time
	cameras map[understudy.CameraID]cameraLook
}

type cameraLook struct {
	foreign, known bool
	keep           time.Duration
	priority       int
	protection
}

func (f *folder) newLook(now time.Time) look {
	return look{f, now, map[understudy.CameraID]cameraLook{}}
}

func (l look) camera(camera understudy.CameraID) cameraLook {
	c, ok := l.cameras[camera]
	if ok {
		return c
	}
	s := l.folder.store
	c.protection = s.protectionOf(camera, l.now)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.known, c.foreign = s.home != nil, s.isForeign(camera)
	c.keep, c.priority = s.keepOf(camera), s.limitsOf(camera).Priority
	l.cameras[camera] = c
	return c
}

func (l look) rank(e *entry) rank {
	c := l.camera(e.ID.Camera)
	claim := c.of(e)
	switch {
	case !c.known || claim == locked:
		return rankKept
	case claim == unclaimed && c.keep > 0 && l.now.Sub(e.End) >= c.keep:
		return rankExpired
	case c.foreign && l.folder.store.config.GiveUpUnmerged:
		return rankUnmerged
	case c.foreign:
		return rankKept
	case claim == ofEvent:
		return rankEvent
	}
	return rankOwn
}

func (l look) reason(v victim) reason {
	switch {
	case l.camera(v.ID.Camera).foreign:
		return unmerged
	case v.rank == rankExpired:
		return expired
	}
	return noRoom
}

// victims are those that go first, in their order, kept from one time to the
// next: sorting all segments for each that must go would cost a full store
// seconds. They belong to the goroutine of upkeep.
type victims struct{ list []victim }

const maxVictims = 10000

// next returns the next one to go; nil if there is none. One for which more
// speaks than when it was chosen is passed over.
func (v *victims) next(l look) *victim {
	for {
		if len(v.list) == 0 {
			v.list = l.choose()
		}
		if len(v.list) == 0 {
			return nil
		}
		first := v.list[0]
		v.list = v.list[1:]
		if l.folder.has(first.entry) && l.rank(first.entry) <= first.rank {
			return &first
		}
	}
}

// has reports whether a segment still lies in the folder with its bytes.
func (f *folder) has(e *entry) bool {
	return slices.ContainsFunc(f.store.findAll(e.ID), func(now *entry) bool { return now.folder == f && !now.Archived })
}

// choose returns a sixteenth of the segments that may go, those that go first,
// of the first days that have any that go before what shows an event: a full
// store has millions of segments, and not all are to be read for each that goes.
func (l look) choose() []victim {
	cameras := l.folder.store.Cameras()
	var all []victim
	plain := false
	for _, date := range l.folder.dates(cameras) {
		for _, camera := range cameras {
			for _, v := range l.victimsOf(camera, date) {
				plain = plain || v.rank <= rankOwn
				all = append(all, v)
			}
		}
		if plain {
			break
		}
	}
	slices.SortFunc(all, victim.compare)
	return slices.Clone(all[:min(max(len(all)/16, 1), len(all), maxVictims)])
}

// victimsOf returns the segments of a camera and a day that may go.
func (l look) victimsOf(camera understudy.CameraID, date string) (list []victim) {
	priority := l.camera(camera).priority
	for _, e := range l.folder.store.closed(camera, func(d *day) bool { return d.folder == l.folder && d.date == date }) {
		r := l.rank(e)
		if e.Archived || r == rankKept {
			continue
		}
		v := victim{entry: e, rank: r}
		if r == rankUnmerged {
			v.priority = priority
		}
		list = append(list, v)
	}
	return list
}
