package storage

import (
	"fmt"
	"sync"
	"time"
)

// Bounds after which the disk is called sick.
const (
	hangAfter     = 4 * time.Second  // an operation that takes longer hangs
	dropRemembers = 10 * time.Second // for so long lost samples are a state
)

// health is the condition of the disk. Its lock is never held while the disk
// works, so that a state poll is answered whatever the disk does.
type health struct {
	mu       sync.Mutex
	next     int
	inflight map[int]operation
	fault    string    // the last failure, until something succeeds again
	full     string    // why nothing may be written; retention sets and clears it
	dropped  string    // what was lost because the disk was too slow
	dropAt   time.Time // when that was
	worked   time.Time // when the disk last made something durable
	sickAt   time.Time // when it was last seen sick
	free     int64
}

type operation struct {
	what  string
	since time.Time
}

// do runs one operation of the disk, watched.
func (h *health) do(what string, f func() error) error {
	h.mu.Lock()
	if h.inflight == nil {
		h.inflight = map[int]operation{}
	}
	h.next++
	id := h.next
	h.inflight[id] = operation{what, time.Now()}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.inflight, id)
		h.mu.Unlock()
	}()
	return f()
}

// failed notes a failure and reports whether it is the first of a row.
func (h *health) failed(sentence string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.fault == ""
	h.fault = sentence
	return first
}

// succeeded notes that something became durable and reports whether that ends a fault.
func (h *health) succeeded() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	recovered := h.fault != ""
	h.fault, h.worked = "", time.Now()
	return recovered
}

// idle reports whether nothing became durable for so long, so that the disk must be tried.
func (h *health) idle(d time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fault != "" || time.Since(h.worked) >= d
}

// setFull sets or clears (by "") why nothing may be written, and reports whether that is new.
func (h *health) setFull(sentence string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := (h.full == "") != (sentence == "")
	h.full = sentence
	return changed
}

func (h *health) isFull() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.full
}

func (h *health) drop(sentence string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropped, h.dropAt = sentence, time.Now()
}

func (h *health) setFree(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = n
}

// room returns the free bytes that were last seen.
func (h *health) room() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.free
}

// wellSince reports whether nothing was wrong for so long.
func (h *health) wellSince(d time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.sickAt) >= d
}

// sentence says what is wrong; empty when nothing is.
func (h *health) sentence() (sentence string, free int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sentence = h.wrong(); sentence != "" {
		h.sickAt = time.Now()
	}
	return sentence, h.free
}

func (h *health) wrong() string {
	oldest := operation{}
	for _, o := range h.inflight {
		if oldest.what == "" || o.since.Before(oldest.since) {
			oldest = o
		}
	}
	hung := time.Duration(0)
	if oldest.what != "" {
		hung = time.Since(oldest.since)
	}
	switch {
	case hung > hangAfter:
		return fmt.Sprintf("the disk hangs: it has not answered %s for %d s; check the disk and its cable or network", oldest.what, int(hung.Seconds()))
	case h.full != "":
		return h.full
	case h.fault != "":
		return h.fault
	case h.dropped != "" && time.Since(h.dropAt) < dropRemembers:
		return h.dropped
	}
	return ""
}
