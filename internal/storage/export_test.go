package storage

import "context"

// What the crash tests see of a store.

var CheckFS = checkFS

// NextNumber returns the least that the next segment of the store may have.
func NextNumber(s *Store) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next + 1
}

// LookAfterArchive does at once what Run does of the archive now and then.
func (s *Store) LookAfterArchive(ctx context.Context) error {
	err := s.mover.pass(ctx)
	if err != nil {
		s.mover.failed(err)
	}
	return err
}
