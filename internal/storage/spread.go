package storage

import (
	"fmt"
	"time"

	"understudy"
)

// What makes a camera leave a folder that is well: another one that has been
// well for so long and is so much emptier of cameras for its size.
const (
	wellFor  = 10 * time.Minute
	emptier  = 1.5
	leastCap = 1 << 20 // of a folder, so that one without room still has a share
)

// capacity is how many bytes of footage a folder can have; mu is held.
func (f *folder) capacity() float64 {
	most := f.used + max(0, f.health.room()-f.config.MinFreeBytes)
	if f.config.MaxBytes > 0 {
		most = min(most, f.config.MaxBytes)
	}
	return float64(max(most, leastCap))
}

// choose returns the folder in which a camera's next segment begins. It stays
// where it is while that folder is well. Else, and when it is new, it goes to
// the well folder with the most capacity for each camera that records there.
// It leaves a well folder only for one that has long been well and is much
// emptier: a disk that was added, or that came back.
func (s *Store) choose(camera understudy.CameraID, now *folder) *folder {
	if len(s.folders) == 1 {
		return s.folders[0]
	}
	sick := map[*folder]bool{}
	for _, f := range s.folders {
		sentence, _ := f.health.sentence()
		sick[f] = sentence != ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	recording := map[*folder]float64{}
	for w := range s.writers {
		if f := w.folder.Load(); f != nil && w.camera != camera {
			recording[f]++
		}
	}
	if now == nil {
		now = s.places[camera]
	}
	share := func(f *folder) float64 { return f.capacity() / (recording[f] + 1) }
	best := now
	for _, f := range s.folders {
		switch {
		case sick[f] || f == now:
		case best == nil || best == now && sick[now]:
			best = f
		case now != nil && !sick[now]:
			if share(f) > emptier*share(now) && f.health.wellSince(wellFor) && (best == now || share(f) > share(best)) {
				best = f
			}
		case share(f) > share(best):
			best = f
		}
	}
	if best == nil {
		return s.folders[0] // all are sick: it waits for this one
	}
	return best
}

// otherFolder returns a well folder for a camera whose own is sick; nil if there is none.
func (s *Store) otherFolder(camera understudy.CameraID, than *folder) *folder {
	if other := s.choose(camera, than); other != than {
		return other
	}
	return nil
}

// move lets a writer's next segment begin in another folder.
func (w *Writer) move(to *folder) {
	w.mu.Lock()
	from := w.folder.Swap(to)
	if from != nil {
		from.queued.Add(-w.bytes)
	}
	to.queued.Add(w.bytes)
	w.mu.Unlock()
	if from == nil || from == to {
		return
	}
	sentence, _ := from.health.sentence()
	if sentence == "" {
		sentence = "it has more room for each camera"
	}
	w.store.log.Info(fmt.Sprintf("recordings go on in %s: %s", to.config.Dir, sentence), "camera", w.camera)
}
