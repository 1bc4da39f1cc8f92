package directory

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"understudy"
)

const (
	// fresh is how long somebody who was taken out of a group goes on.
	fresh = time.Minute
	// lasting is how long an answer counts while nobody can be asked: as long as a
	// session. Who was let in stays, and nobody new comes.
	lasting = 12 * time.Hour
	// again is how soon after a failure the directory is asked again for somebody
	// who is known: each try may take seconds, and requests wait for it.
	again = 5 * time.Second
)

// answers remembers what a directory said of users.
type answers struct {
	asking singleflight.Group

	mu    sync.Mutex
	known map[string]groupsAt
}

type groupsAt struct {
	groups []string
	at     time.Time // when it was said
	tried  time.Time // when it was last asked, in vain or not
}

// of returns what is known of a user, from ask if that is old. One who asks for
// many at the same time asks once; the directory's no is forgotten at once.
func (a *answers) of(ctx context.Context, user string, ask func(context.Context) ([]string, error)) ([]string, error) {
	now := time.Now()
	a.mu.Lock()
	last, known := a.known[user]
	a.mu.Unlock()
	known = known && now.Sub(last.at) < lasting
	if known && (now.Sub(last.at) < fresh || now.Sub(last.tried) < again) {
		return last.groups, nil
	}
	said, err, _ := a.asking.Do(user, func() (any, error) {
		// Others wait for the same answer: it does not end with one's request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*patience)
		defer cancel()
		groups, err := ask(ctx)
		a.keep(user, groups, err, time.Now())
		return groups, err
	})
	if err != nil {
		if known && understudy.CodeOf(err) == understudy.CodeUnavailable {
			return last.groups, nil
		}
		return nil, err
	}
	groups, _ := said.([]string)
	return groups, nil
}

func (a *answers) keep(user string, groups []string, err error, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, known := a.known[user]
	switch {
	case err == nil:
		if !known && len(a.known) >= accounts {
			a.makeRoom(now)
		}
		a.known[user] = groupsAt{groups, now, now}
	case understudy.CodeOf(err) != understudy.CodeUnavailable:
		delete(a.known, user)
	case known:
		last.tried = now
		a.known[user] = last
	}
}

// makeRoom forgets what no longer counts, or else the oldest.
func (a *answers) makeRoom(now time.Time) {
	var oldest string
	var at time.Time
	for user, g := range a.known {
		if now.Sub(g.at) >= lasting {
			delete(a.known, user)
		} else if at.IsZero() || g.at.Before(at) {
			oldest, at = user, g.at
		}
	}
	if len(a.known) >= accounts {
		delete(a.known, oldest)
	}
}
