package understudy

import (
	"slices"
	"time"
)

// Recall says that the media tokens which a user was given before a time are believed no
// more, and what was opened with one ends: the user's rights were changed, or are gone.
// Who has rights still asks for another.
type Recall struct {
	User   string    `json:"user"`
	Before time.Time `json:"before" doc:"Media tokens that were given before are believed no more"`
}

// recallsKept is how long a site remembers: longer than any token is believed, also where no
// management server is heard, and than most pictures are looked at from a server that hears none.
const recallsKept = 24 * time.Hour

// recall keeps r, and none that are so much older.
func (s *Site) recall(r Recall, own *bool) {
	put(&s.Recalls, own, r, recalledUser)
	s.Recalls = slices.DeleteFunc(s.Recalls, func(old Recall) bool { return old.Outlived(r) })
}

// Outlived reports whether r need not be remembered any more, once there is a later one.
func (r Recall) Outlived(later Recall) bool { return later.Before.Sub(r.Before) > recallsKept }

// Recalled is CodeUnauthenticated when the media token was recalled by which a user is known.
func (s Site) Recalled(who Identity) error {
	r, ok := s.Recall(who.User)
	if !ok || who.Given.IsZero() || !who.Given.Before(r.Before) {
		return nil
	}
	return Errorf(CodeUnauthenticated, "the rights of %s were changed after this media token was given: ask the management server for another", who.User)
}

// Recall returns the latest one of a user's media tokens.
func (s Site) Recall(user string) (Recall, bool) { return find(s.Recalls, user, recalledUser) }

func recalledUser(r *Recall) string { return r.User }
