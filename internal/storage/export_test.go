package storage

// What the crash tests see of a store.

var CheckFS = checkFS

// NextNumber returns the least that the next segment of the store may have.
func NextNumber(s *Store) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next + 1
}
