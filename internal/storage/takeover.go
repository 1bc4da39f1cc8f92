package storage

import (
	"errors"
	"time"
)

// errTakenOver ends a goroutine of a writer whose work another one does.
var errTakenOver = errors.New("another goroutine took over from this one, which hung")

// await runs an operation of the disk during which another goroutine may take
// over: then what this one held is no longer its own, it only tidies up and ends.
func (w *Writer) await(turn int, f func() error) error {
	segment := w.segment
	w.mu.Lock()
	w.waits = time.Now()
	w.mu.Unlock()
	err := f()
	w.mu.Lock()
	taken := w.turn != turn
	if !taken {
		w.waits = time.Time{}
	}
	w.mu.Unlock()
	if !taken {
		return err
	}
	if segment != nil {
		segment.trim()
		segment.close()
	}
	return errTakenOver
}

// leaveHanging lets another goroutine go on in another folder when the disk of
// this one hangs, with everything that is not durable yet. The one that hangs
// ends when its disk answers, if it ever does.
func (w *Writer) leaveHanging() {
	from := w.folder.Load()
	if !w.hangs() || w.store.otherFolder(w.camera, from) == nil {
		return
	}
	w.mu.Lock()
	if w.waits.IsZero() || time.Since(w.waits) < hangAfter {
		w.mu.Unlock()
		return
	}
	w.turn++
	w.waits = time.Time{}
	turn := w.turn
	w.mu.Unlock()
	wrong, _ := from.health.sentence()
	if sentence := "recordings cannot be written: " + wrong; from.health.failed(sentence) {
		w.store.report(w.camera, from.said(sentence))
	}
	w.ready = append(w.unsynced, w.ready...)
	for _, f := range w.ready { // the one that hangs may still be reading from them
		for _, s := range f.samples {
			s.Hold()
		}
	}
	w.unsynced, w.segment, w.retryAt = nil, nil, time.Time{}
	go w.run(turn)
	poke(w.wake)
}

func (w *Writer) hangs() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.waits.IsZero() && time.Since(w.waits) >= hangAfter
}

// said is a sentence about the folder, which is named where there are several.
func (f *folder) said(sentence string) string {
	if len(f.store.config.Folders) > 1 {
		return f.config.Dir + ": " + sentence
	}
	return sentence
}
