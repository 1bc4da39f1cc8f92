package storage

import (
	"time"

	"understudy"
)

// watermark belongs to a writer; an older writer's sync does not set it back.
type watermark struct {
	writer   uint64
	sequence uint64 // of its segment
	understudy.Watermark
	at time.Time // it became durable
}

// Watermark returns the last video sample of a camera that this server recorded
// and made durable with all before it: others keep no copy of what is older.
func (s *Store) Watermark(camera understudy.CameraID) understudy.Watermark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watermarks[camera].Watermark
}

// Reached returns when the sample of a camera's watermark became durable; zero
// when that was before the store was opened, or there is none.
func (s *Store) Reached(camera understudy.CameraID) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watermarks[camera].at
}

// reach takes in how far a writer has come. While an older one of the camera
// still brings samples to the disk, that waits: they could yet be lost. Called
// with s.mu held, as what follows is.
func (s *Store) reach(w *Writer, mark watermark) {
	marks := s.watermarks
	if w.isBehind() {
		marks = s.ahead
	}
	if marks[w.camera].writer <= w.number {
		marks[w.camera] = mark
	}
}

// catchUp lets what waited for a writer that has ended count.
func (s *Store) catchUp(camera understudy.CameraID) {
	newest := s.newest[camera]
	if newest.isBehind() {
		return
	}
	if ahead := s.ahead[camera]; s.watermarks[camera].writer < ahead.writer {
		s.watermarks[camera] = ahead
	}
	delete(s.ahead, camera)
	if newest.ended() {
		delete(s.newest, camera)
	}
}

// isBehind reports whether an older writer of the camera has not ended.
func (w *Writer) isBehind() bool {
	for w.before != nil && w.before.ended() {
		w.before = w.before.before
	}
	return w.before != nil
}

func (w *Writer) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}
