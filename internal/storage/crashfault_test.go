package storage_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// day is a short day of a server: two cameras are recorded, while footage comes
// home, is noted and is deleted. What fails is tried again, as callers do.
func day(s *stage) {
	s.must(again(func() error { return s.tryOpen() }))
	one, two := s.writer("lobby", 1), s.writer("yard", 1)
	id, b := s.away("gate", 31, 3)
	var others sync.WaitGroup
	others.Go(func() {
		s.must(again(func() error { return s.send(id, b, len(b)) }))
		s.note("lobby", "one", 1)
		s.must(again(func() error {
			if err := s.send(id, b, len(b)); err != nil { // is it here?
				return err
			}
			s.let(func(other understudy.SegmentID) bool { return other == id })
			return s.store.Delete(id, "it is a test")
		}))
	})
	s.feed(5, map[understudy.CameraID]*storage.Writer{"lobby": one, "yard": two})
	others.Wait()
	s.close(one, two)
	for range 80 {
		if time.Sleep(time.Second); s.store.State().Writable {
			break
		}
	}
	if state := s.store.State(); !state.Writable {
		s.t.Errorf("the disk is well again, and the state is %q", state.Sentence)
	}
	s.failWhile(nil)
	s.oracle.complete(s.t, s.store, "lobby", "yard")
}

// again tries for as long as a disk fails once.
func again(f func() error) (err error) {
	for range 5 {
		if err = f(); err == nil {
			return nil
		}
		time.Sleep(2 * time.Second)
	}
	return err
}

// Each operation of the disk fails once, with EIO, with ENOSPC, or after half a
// minute in which nothing came. Nothing is lost, not even what was not durable
// yet: the writer has it and writes it elsewhere; the state says why. What was
// told durable survives a power cut at any step then, too.
func TestEachOperationFailsOnce(t *testing.T) {
	var operations atomic.Int64
	count := func(s *stage) {
		s.fault = func(fs.Op, string) error {
			operations.Add(1)
			return nil
		}
		day(s)
	}
	perform(t, "a day", []string{"a"}, nil, count)
	e := &explorer{seed: 1, each: 1, thorough: 4, enough: 3}
	every := 3
	if number(t, "UNDERSTUDY_CRASH_STATES") > 0 {
		every, e.each = 1, 4
	}
	failures := 0
	for nth := range operations.Load() {
		for kind, failure := range []error{syscall.EIO, syscall.ENOSPC, nil} {
			if (int(nth)+kind)%every != 0 {
				continue
			}
			failures++
			name := fmt.Sprintf("operation %d fails with %v", nth, failure)
			var hit string
			lives := perform(t, name, []string{"a"}, nil, func(s *stage) {
				defer func() {
					if s.t.Failed() {
						s.t.Logf("%s: %s", name, hit)
					}
				}()
				var count atomic.Int64
				s.fault = func(op fs.Op, file string) error {
					if count.Add(1)-1 != nth {
						return nil
					}
					hit = fmt.Sprint(op, " ", file)
					if failure == nil {
						s.hang(op, file)
					}
					return failure
				}
				day(s)
			})
			last := lives[len(lives)-1]
			for steps := int(nth) % 7; steps <= last.rec.Len(); steps += 7 {
				e.visit(moment{last, steps}, e.each, 0, map[uint64]bool{})
			}
		}
	}
	t.Logf("%d failures of %d operations, and %d crash states after them", failures, operations.Load(), e.states.Load())
	for _, loss := range e.losses {
		t.Error(loss)
	}
}

// hang lets an operation take half a minute; the state says so meanwhile.
func (s *stage) hang(op fs.Op, file string) {
	time.Sleep(30 * time.Second)
	if store := s.seen.Load(); store != nil && strings.HasSuffix(file, ".mp4") && (op == fs.OpWrite || op == fs.OpSync || op == fs.OpCreate) {
		if state := store.State(); state.Writable || !strings.Contains(state.Sentence, "hangs") {
			s.t.Errorf("%s of %s takes half a minute, and the state is %+v", op, file, state)
		}
	}
}

// A disk that hangs in any operation holds up no camera on another one, and its
// own cameras for seconds.
func TestAHangingFolderHoldsUpNoOther(t *testing.T) {
	var operations atomic.Int64
	play := func(nth int64) {
		perform(t, fmt.Sprint("operation ", nth, " hangs"), []string{"a", "b"}, nil, func(s *stage) {
			s.open()
			one, two := s.writer("lobby", 1), s.writer("yard", 1)
			cameras := map[understudy.CameraID]*storage.Writer{"lobby": one, "yard": two}
			s.feed(2, cameras)
			away := map[understudy.CameraID]bool{}
			for _, camera := range []understudy.CameraID{"lobby", "yard"} {
				_, err := s.disk.Stat("a/cameras/" + string(camera))
				away[camera] = err == nil
			}
			if away["lobby"] == away["yard"] {
				s.t.Fatalf("two cameras on two folders lie %v", away)
			}
			var count atomic.Int64
			var hung atomic.Bool
			s.failWhile(func(_ fs.Op, name string) error {
				if n := count.Add(1) - 1; strings.HasPrefix(name, "a/") && (hung.Load() || n == nth) {
					hung.Store(true)
					time.Sleep(time.Minute)
				}
				return nil
			})
			for second := range 12 {
				s.feed(1, cameras)
				synctest.Wait()
				for camera := range cameras {
					most := 2500 * time.Millisecond
					if away[camera] {
						most = 10 * time.Second // it is noticed, and it moves
					}
					if lag := s.clock.Sub(s.store.Watermark(camera).At); lag > most {
						s.t.Errorf("operation %d hangs: after %d s camera %s, on that disk %v, is %v behind", nth, second, camera, away[camera], lag)
					}
				}
			}
			operations.Store(count.Load())
			s.failWhile(nil)
			time.Sleep(2 * time.Minute)
			s.close(one, two)
			s.oracle.complete(s.t, s.store, "lobby", "yard")
		})
	}
	play(-1)
	n := operations.Load()
	for nth := int64(0); nth < n && !t.Failed(); nth += 3 {
		play(nth)
	}
	t.Logf("each third of %d operations hung", n)
}
