package usage

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"understudy"
)

// Bounds of what is told of somebody, whatever is asked: names of users of an
// identity provider are as long as those choose.
const (
	maxName    = 320
	maxAddress = 64
	// near is how far apart two stretches of footage may be that are told as one: the
	// parts of a playback, key frames.
	near = 10 * time.Second
)

// Using is one request that is being answered. A nil Using notes nothing.
type Using struct {
	book  *Book
	asker understudy.Identity
	key   key

	use *use // that it is part of; nil before something was given out
}

// Begin says that somebody asks for a camera's footage, from the address of asker; token is the
// address to which his media token was given out. Servers' own doings are none of a
// user's, and are not noted. A use without footage is none, either.
func (b *Book) Begin(asker understudy.Identity, token string, action understudy.Action, camera understudy.CameraID) *Using {
	if b == nil || asker.User == "" || asker.Server != "" {
		return nil
	}
	return &Using{book: b, asker: asker, key: keyOf(&asker, token, action, camera, false)}
}

func keyOf(asker *understudy.Identity, token string, action understudy.Action, camera understudy.CameraID, refused bool) key {
	asker.User = plain(asker.User, maxName)
	return key{asker.String(), plain(asker.Address, maxAddress), plain(token, maxAddress), action, refused, camera}
}

// plain is one line of valid UTF-8, of bounded length.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// Gave notes that [from, to] of the footage is given out. It may be called for each sample.
func (u *Using) Gave(from, to time.Time) {
	if u == nil {
		return
	}
	u.book.mu.Lock()
	defer u.book.mu.Unlock()
	now := time.Now()
	if going := u.book.at(u.key, u.asker, now); going != u.use { // the first, or since the one before was told
		u.use = going
		going.running++
		going.Requests++
	}
	u.use.Ended = now
	u.use.Footage = joined(u.use.Footage, understudy.Stretch{From: from.UTC().Truncate(time.Second), To: to.UTC().Truncate(time.Second)})
}

// End says that the request is answered.
func (u *Using) End() {
	if u == nil || u.use == nil {
		return
	}
	u.book.mu.Lock()
	defer u.book.mu.Unlock()
	u.use.running--
	u.use.Ended = time.Now()
}

// joined adds a stretch, and of too many makes one of the two that are nearest to each other.
func joined(all []understudy.Stretch, s understudy.Stretch) []understudy.Stretch {
	for _, had := range all {
		if !s.From.Before(had.From) && !s.To.After(had.To) {
			return all
		}
	}
	all = append(slices.Clone(all), s) // what was told of is read without the lock
	slices.SortFunc(all, func(a, b understudy.Stretch) int { return a.From.Compare(b.From) })
	apart := near
	for {
		nearest := -1
		for i := range len(all) - 1 {
			if gap := all[i+1].From.Sub(all[i].To); gap <= apart {
				apart, nearest = gap, i
			}
		}
		switch {
		case nearest >= 0:
			if all[nearest+1].To.After(all[nearest].To) {
				all[nearest].To = all[nearest+1].To
			}
			all, apart = slices.Delete(all, nearest+1, nearest+2), near
		case len(all) > understudy.MaxUseFootage:
			apart = 1<<63 - 1
		default:
			return all
		}
	}
}

// Refused notes that somebody has no right to do that. camera may be anything that was asked for.
func (b *Book) Refused(asker understudy.Identity, token string, action understudy.Action, camera understudy.CameraID) {
	if b == nil || asker.User == "" || asker.Server != "" {
		return
	}
	b.refuse(keyOf(&asker, token, action, "", true), asker, func(u *use) { u.names(camera) })
}

// RefusedRoute notes that a user or a server has no right to a request to the management server.
func (b *Book) RefusedRoute(asker understudy.Identity, route string) {
	if b == nil || asker.User == "" && asker.Server == "" {
		return
	}
	b.refuse(keyOf(&asker, "", "", "", true), asker, func(u *use) { u.asks(route) })
}

func (b *Book) refuse(k key, asker understudy.Identity, note func(*use)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	u := b.at(k, asker, now)
	u.Requests++
	u.Ended = now
	note(u)
}

// names adds a camera to those of a use of several, if it is a name at all.
func (u *use) names(camera understudy.CameraID) {
	switch {
	case slices.Contains(u.Cameras, camera):
	case len(u.Cameras) < understudy.MaxUseCameras && understudy.ValidateID("camera", camera) == nil:
		u.Cameras = append(slices.Clone(u.Cameras), camera)
	default:
		u.More++
	}
}

// asks adds a route to those that were refused.
func (u *use) asks(route string) {
	switch {
	case slices.Contains(u.Routes, route):
	case len(u.Routes) < understudy.MaxUseRoutes:
		u.Routes = append(slices.Clone(u.Routes), route)
	default:
		u.More++
	}
}
