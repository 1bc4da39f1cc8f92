package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// Bounds of what may wait for the disk, written but not synced included.
const (
	writerQueue = 16 << 20  // bytes of one writer
	storeQueue  = 512 << 20 // bytes of all, in equal shares of the folders
	// sampleOverhead is what a sample takes in memory besides its payload.
	sampleOverhead = 256
	// spareQueue is how long a queue may have become whose memory is used again, in samples.
	spareQueue = 256
)

// heldBytes is what a sample takes in memory.
func heldBytes(s *understudy.Sample) int64 { return int64(len(s.Payload)) + sampleOverhead }

// retryAfter is how long a writer leaves a disk alone that failed.
const retryAfter = time.Second

// Writer records one session of one camera. Write puts samples in a queue; a
// goroutine makes fragments of them, writes and syncs.
type Writer struct {
	store  *Store
	camera understudy.CameraID
	epoch  uint64
	tracks []understudy.Track
	init   []byte        // what each of its segments begins with
	number uint64        // of the store's writers
	before *Writer       // of this camera, and may hold what is older than anything here; under the store's lock
	wake   chan struct{} // the queue has something, or closing
	tick   chan struct{} // time to sync
	done   chan struct{} // the goroutine has returned

	// folder is where the next segment begins; the goroutine changes it, or who takes over.
	folder atomic.Pointer[folder]

	mu       sync.Mutex
	turn     int       // of the goroutine: another took over from one that hangs
	waits    time.Time // for the disk since then; zero: it does not
	queue    []queued
	bytes    int64     // of all samples not yet durable
	dropping bool      // until a key frame finds room
	began    time.Time // capture time of the first sample
	waiting  int       // bytes of queue
	lost     int       // samples dropped in this episode
	lostFrom time.Time // capture time of the first of them
	closing  bool

	// Of the goroutine only.
	cutter   *cutter
	spare    []queued   // the queue's other memory
	ready    []fragment // cut, not written
	unsynced []fragment // written, not synced
	segment  *openSegment
	retryAt  time.Time // leave the disk alone until then
}

type queued struct {
	sample *understudy.Sample
	cut    bool // samples before it were dropped
	came   time.Time
}

// NewWriter begins a session: a new segment at the first key frame.
// CodeInvalid for tracks that cannot be stored.
func (s *Store) NewWriter(camera understudy.CameraID, epoch uint64, tracks []understudy.Track) (*Writer, error) {
	id := understudy.SegmentID{Camera: camera, Epoch: epoch, Holder: s.config.Server}
	if err := id.Validate(); err != nil {
		return nil, err
	}
	init, err := fmp4.MarshalInit(tracks)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		store: s, camera: camera, epoch: epoch, tracks: tracks, init: slices.Clip(init),
		wake: make(chan struct{}, 1), tick: make(chan struct{}, 1), done: make(chan struct{}),
		cutter: newCutter(camera, s.config.SegmentLength, tracks),
	}
	s.mu.Lock()
	s.writerID++
	w.number = s.writerID
	s.mu.Unlock()
	w.folder.Store(s.choose(camera, nil))
	s.mu.Lock()
	s.writers[w] = struct{}{}
	w.before, s.newest[camera] = s.newest[camera], w
	s.mu.Unlock()
	go w.run(0)
	return w, nil
}

// Write takes a sample over, with the caller's hold of it, and never waits for the disk. What does not fit in the
// queue is dropped by whole GOPs, and reported. CodeConflict after Close.
func (w *Writer) Write(sample *understudy.Sample) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return understudy.Errorf(understudy.CodeConflict, "the recording of camera %s was closed", w.camera)
	}
	size := heldBytes(sample)
	folder := w.folder.Load()
	limit := int64(writerQueue)
	begins := sample.Track == understudy.VideoTrack && sample.Key
	if w.dropping {
		limit /= 2 // a GOP is begun only if it is likely to end
	}
	if w.bytes+size > limit || folder.queued.Load()+size > storeQueue/int64(len(w.store.folders)) || w.dropping && !begins {
		w.drop(sample)
		return nil
	}
	w.queue = append(w.queue, queued{sample, w.dropping, time.Now()})
	if w.dropping {
		w.dropping = false
		w.store.report(w.camera, fmt.Sprintf("%d samples of camera %s from %s to %s were lost: the disk was too slow or failed, and the queue was full",
			w.lost, w.camera, clock(w.lostFrom), clock(sample.At)))
		w.store.noteGap(w.camera, understudy.GapDisk, w.lostFrom, laterOf(sample.At, w.lostFrom), fmt.Sprintf("%d samples were lost: the disk was too slow or failed, and the queue was full", w.lost))
		w.lost = 0
	}
	w.bytes += size
	folder.queued.Add(size)
	if w.due(sample) {
		poke(w.wake)
	}
	return nil
}

// Samples are cut and written some at a time.
const (
	wakeSpan  = 300 * time.Millisecond // that wait
	wakeBytes = 1 << 20                // that wait
	eagerFor  = time.Second            // each one is looked at: a takeover counts from the first
)

// due reports whether the goroutine is woken for a sample that was queued; mu is held.
// The timer wakes it, too.
func (w *Writer) due(last *understudy.Sample) bool {
	first := w.queue[0].sample.At
	if w.began.IsZero() {
		w.began = first
	}
	w.waiting += len(last.Payload)
	return last.At.Sub(w.began) < eagerFor || last.At.Sub(first) >= wakeSpan || w.waiting > wakeBytes || last.At.Before(first)
}

func (w *Writer) drop(sample *understudy.Sample) {
	if w.lost == 0 {
		w.lostFrom = sample.At
		w.store.noteGap(w.camera, understudy.GapDisk, w.lostFrom, w.lostFrom, "samples are being lost: the disk is too slow or fails, and the queue is full")
	}
	w.dropping = true
	w.lost++
	w.folder.Load().health.drop(fmt.Sprintf("the disk is too slow or fails: samples of camera %s are being lost since %s", w.camera, clock(w.lostFrom)))
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes what is held, syncs it and ends the segment. When ctx ends
// first, because the disk hangs, it returns; the goroutine ends when the disk answers.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	poke(w.wake)
	select {
	case <-w.done:
	case <-ctx.Done():
		return understudy.Errorf(understudy.CodeUnavailable, "the recording of camera %s could not be brought to the disk in time: %w", w.camera, ctx.Err())
	}
	if w.ready != nil || w.unsynced != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the last samples of camera %s could not be written, the disk fails: they are lost", w.camera)
	}
	return nil
}

// run is the goroutine, or the one that took over from it in another turn.
func (w *Writer) run(turn int) {
	for {
		tick := false
		select {
		case <-w.wake:
		case <-w.tick:
			tick = true
		}
		batch, closing := w.take()
		for _, q := range batch {
			w.cutter.add(q.sample, q.cut, q.came)
		}
		if cap(batch) <= spareQueue {
			clear(batch)
			w.spare = batch[:0]
		}
		switch {
		case closing:
			w.cutter.finish()
		case tick:
			w.cutter.flush(time.Now())
			fallthrough
		default:
			w.cutter.pause()
		}
		w.ready = append(w.ready, w.cutter.take()...)
		w.settle()
		var err error
		switch {
		case closing:
			err = w.finish(turn)
		case time.Now().After(w.retryAt):
			if err = w.advance(turn, tick); err != nil {
				err = w.fail(turn, err)
			}
		}
		if errors.Is(err, errTakenOver) {
			return
		}
		if closing {
			w.end()
			return
		}
	}
}

// end gives back what the writer had of the store.
func (w *Writer) end() {
	w.mu.Lock()
	w.folder.Load().queued.Add(-w.bytes)
	w.bytes = 0
	w.mu.Unlock()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.writers, w)
	close(w.done)
	w.store.catchUp(w.camera)
}

// finish brings what is left to the disk. One that fails gets a second chance
// at once, with a new file, and a third a little later.
func (w *Writer) finish(turn int) error {
	for attempt := range 3 {
		if attempt == 2 {
			<-time.After(retryAfter)
		}
		err := w.advance(turn, true)
		if err == nil {
			break
		}
		if err := w.fail(turn, err); err != nil {
			return err
		}
	}
	if len(w.ready) > 0 { // the disk refused to the end
		first, last := w.ready[0].samples, w.ready[len(w.ready)-1].samples
		w.store.noteGap(w.camera, understudy.GapDisk, first[0].At, last[len(last)-1].End(), "the last samples of a session could not be written: the disk fails")
	}
	return w.endSegment(turn)
}

func (w *Writer) take() ([]queued, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.queue
	w.queue, w.waiting = w.spare, 0
	w.spare = nil
	return batch, w.closing
}

// settle makes the count of bytes that wait agree with what does, as samples
// before the first key frame leave without being written.
func (w *Writer) settle() {
	held := w.cutter.heldBytes()
	for _, f := range w.ready {
		held += f.bytes
	}
	for _, f := range w.unsynced {
		held += f.bytes
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.queue {
		held += heldBytes(q.sample)
	}
	w.folder.Load().queued.Add(held - w.bytes)
	w.bytes = held
}

// advance writes what is ready, and syncs if it is time or a fragment is urgent.
func (w *Writer) advance(turn int, sync bool) error {
	for len(w.ready) > 0 {
		f := w.ready[0]
		if err := w.write(turn, f); err != nil {
			return err
		}
		w.ready = w.ready[1:]
		w.unsynced = append(w.unsynced, f)
		if f.urgent {
			if err := w.sync(turn); err != nil {
				return err
			}
		}
	}
	w.ready = nil
	if !sync {
		return nil
	}
	return w.sync(turn)
}

// write appends a fragment to the open segment, or to a new one, which may
// begin in another folder.
func (w *Writer) write(turn int, f fragment) error {
	if f.begins || w.segment == nil {
		if err := w.sync(turn); err != nil {
			return err
		}
		if err := w.endSegment(turn); err != nil {
			return err
		}
		if err := w.begin(turn, f); err != nil {
			return err
		}
	}
	if full := w.segment.folder.health.isFull(); full != "" {
		return understudy.Errorf(understudy.CodeUnavailable, "%s", full)
	}
	return w.await(turn, func() error { return w.segment.append(f.samples) })
}

// begin makes a new segment, where this camera's next one belongs.
func (w *Writer) begin(turn int, first fragment) error {
	now := w.folder.Load()
	if to := w.store.choose(w.camera, now); to != now {
		w.move(to)
	}
	folder := w.folder.Load()
	if full := folder.health.isFull(); full != "" {
		return understudy.Errorf(understudy.CodeUnavailable, "%s", full)
	}
	var segment *openSegment
	err := w.await(turn, func() (err error) {
		segment, err = folder.beginSegment(w, first)
		return err
	})
	if err == nil {
		w.segment = segment
	} else if segment != nil {
		segment.close()
	}
	return err
}

// sync makes what was written durable, and only then lets it be seen.
func (w *Writer) sync(turn int) error {
	if w.segment == nil || len(w.unsynced) == 0 {
		return nil
	}
	segment := w.segment
	folder := segment.folder
	err := w.await(turn, func() error {
		folder.slots <- struct{}{}
		defer func() { <-folder.slots }()
		return segment.sync()
	})
	if err != nil {
		return err
	}
	durable := w.unsynced
	w.unsynced = nil
	w.settle()
	w.store.publish(w)
	for _, f := range durable {
		for _, s := range f.samples {
			s.Release()
		}
	}
	if folder.health.succeeded() {
		w.store.report("", folder.said("the disk works again: recording goes on"))
	}
	return nil
}

// endSegment closes the segment at its last durable byte.
func (w *Writer) endSegment(turn int) error {
	segment := w.segment
	if segment == nil {
		return nil
	}
	w.segment = nil
	return w.await(turn, func() error {
		segment.close()
		return nil
	})
}

// fail leaves the file, for good: what a failed write or sync left in it is
// unknown. What was not durable is written again, to a new file: at once to
// another folder, or later.
func (w *Writer) fail(turn int, err error) error {
	if errors.Is(err, errTakenOver) {
		return err
	}
	folder := w.folder.Load()
	w.ready = append(w.unsynced, w.ready...)
	w.unsynced = nil
	w.retryAt = time.Now().Add(retryAfter)
	if folder.health.isFull() == "" { // else retention has said so
		sentence := fmt.Sprintf("recordings cannot be written: %v; recording goes on in memory for some seconds and resumes by itself", err)
		if folder.health.failed(sentence) {
			w.store.report(w.camera, folder.said(sentence))
		}
	}
	if w.store.choose(w.camera, folder) != folder {
		w.retryAt = time.Time{}
		poke(w.wake)
	}
	if segment := w.segment; segment != nil {
		err := w.await(turn, func() error {
			segment.trim()
			return nil
		})
		if err != nil {
			return err
		}
	}
	return w.endSegment(turn)
}
