package kerberos

import (
	"sync"
	"time"

	"understudy"
)

const (
	// A page of a user sends a few dozen requests at once, a script some a second.
	maxOfUser = 20_000
	maxSeen   = 200_000 // of some 100 bytes
)

// seen remembers the requests that were let in for as long as they could be let
// in again (RFC 4120 §3.2.3): who reads one on the way cannot use it a second time.
type seen struct {
	keep time.Duration
	// began: what was made before may have been let in by the process before this.
	began time.Time

	mu     sync.Mutex
	users  map[string]int
	by     map[[32]byte]struct{}
	oldest []sighting // in the order in which they are forgotten
}

type sighting struct {
	user  string
	of    [32]byte
	until time.Time
}

func newSeen(began time.Time, keep time.Duration) *seen {
	return &seen{keep: keep, began: began, users: map[string]int{}, by: map[[32]byte]struct{}{}}
}

// once remembers a request that was made at a time, and refuses it if it was here before.
func (s *seen) once(user string, of [32]byte, made, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	switch _, again := s.by[of]; {
	case again:
		return refuse("this Kerberos ticket was shown before: a client makes a new request of it for each try; somebody may have listened")
	case made.Before(s.began):
		return refuse("this request was made %s before this server started, which could not tell whether it was shown before: send another one", s.began.Sub(made).Round(time.Second))
	case s.users[user] >= maxOfUser || len(s.by) >= maxSeen:
		return understudy.Errorf(understudy.CodeUnavailable, "too many requests with tickets came within %s; sign in once and use the session", s.keep)
	}
	s.by[of] = struct{}{}
	s.users[user]++
	s.oldest = append(s.oldest, sighting{user, of, now.Add(s.keep)})
	return nil
}

func (s *seen) forget(now time.Time) {
	n := 0
	for ; n < len(s.oldest) && !s.oldest[n].until.After(now); n++ {
		old := s.oldest[n]
		delete(s.by, old.of)
		if s.users[old.user]--; s.users[old.user] == 0 {
			delete(s.users, old.user)
		}
	}
	s.oldest = s.oldest[n:]
}
