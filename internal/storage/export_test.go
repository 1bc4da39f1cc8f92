package storage

import (
	"context"
	"errors"
)

// What the crash tests see of a store.

var CheckFS = checkFS

// NextNumber returns the least that the next segment of the store may have.
func NextNumber(s *Store) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next + 1
}

// LookAfterArchive does at once what Run does of the archive now and then.
func (s *Store) LookAfterArchive(ctx context.Context) error { return s.mover.lookAfter(ctx, true) }

// LookAfterAll is LookAfterArchive with a thorough look, in a store that does not run.
func (s *Store) LookAfterAll(ctx context.Context) error {
	s.mover.looks = looks{}
	return s.LookAfterArchive(ctx)
}

// CompareLater leaves the comparison of the index with the files to Run, as in a
// store with very many segments, until the returned function is called.
func CompareLater() (restore func()) {
	was := comparedAtStart
	comparedAtStart = -1
	return func() { comparedAtStart = was }
}

// CompareNow does what CompareLater left to Run.
func (s *Store) CompareNow() error {
	for _, f := range s.folders {
		for camera := f.nextSuspect(); camera != ""; camera = f.nextSuspect() {
			files, err := f.segmentNames(camera)
			if err != nil {
				return err
			}
			if err := errors.Join(f.compare(camera, files, f.known(camera) == 0), f.findWatermark(camera)); err != nil {
				return err
			}
		}
	}
	return nil
}
