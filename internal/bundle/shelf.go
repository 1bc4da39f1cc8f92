// Package bundle keeps what a failover server may open when nobody can be asked.
package bundle

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"understudy"
)

// Shelf is what a failover server keeps of the sealed bundles that come, one a
// home. It touches no disk and no key.
type Shelf struct {
	kept  map[understudy.ServerID]Kept
	tried map[understudy.ServerID]time.Time // when the one was made that was opened last
}

// Kept is a bundle with the highest number and date that its home's ever
// had: an older one has neither higher, whichever of the two has gone back meanwhile.
type Kept struct {
	Bundle understudy.Bundle `json:"bundle"`
	Seq    uint64            `json:"seq"`
	Made   time.Time         `json:"made"`
}

// NewShelf has what was kept before.
func NewShelf(kept []Kept) Shelf {
	s := Shelf{kept: make(map[understudy.ServerID]Kept, len(kept))}
	for _, k := range kept {
		s.kept[k.Bundle.Home] = k
	}
	return s
}

// Kept is all of it, by home.
func (s *Shelf) Kept() []Kept {
	return slices.SortedFunc(maps.Values(s.kept), func(a, b Kept) int {
		return strings.Compare(string(a.Bundle.Home), string(b.Bundle.Home))
	})
}

// Of is what is kept of a home; the zero bundle if nothing is.
func (s *Shelf) Of(home understudy.ServerID) Kept { return s.kept[home] }

// Take makes what is kept that of came, and reports whether it was not: what is
// new is verified, and what is not among them belongs to no duty any more. In
// place of one that is refused the one before stays.
func (s *Shelf) Take(came []understudy.Bundle, verify func(understudy.Bundle) error, refused func(home understudy.ServerID, err error)) bool {
	next := make(map[understudy.ServerID]Kept, len(came))
	for _, b := range came {
		old := s.kept[b.Home]
		if old.Bundle.Home != "" {
			next[b.Home] = old
		}
		err := verify(b)
		if err == nil {
			old, err = old.take(b)
		}
		if err != nil {
			refused(b.Home, err)
			continue
		}
		next[b.Home] = old
	}
	same := func(a, b Kept) bool {
		return a.Seq == b.Seq && a.Made.Equal(b.Made) && a.Bundle.Seq == b.Bundle.Seq
	}
	if maps.EqualFunc(next, s.kept, same) {
		return false
	}
	s.kept = next
	return true
}

// take keeps b instead of the one before if it is newer. CodeConflict for an older one.
func (k Kept) take(b understudy.Bundle) (Kept, error) {
	switch {
	case b.Seq == k.Bundle.Seq && b.Made.Equal(k.Bundle.Made):
		return k, nil
	case b.Seq <= k.Seq && !b.Made.After(k.Made):
		return k, understudy.Errorf(understudy.CodeConflict, "the bundle of %s, number %d of %s, is older than number %d of %s, which was here already",
			b.Home, b.Seq, b.Made.UTC().Format(time.RFC3339), k.Seq, k.Made.UTC().Format(time.RFC3339))
	}
	k.Bundle, k.Seq = b, max(k.Seq, b.Seq)
	if b.Made.After(k.Made) {
		k.Made = b.Made
	}
	return k, nil
}

// Due returns what is to be opened now for homes that need it: each bundle once,
// and again when another has come. Of a home that has none it is the zero bundle.
func (s *Shelf) Due(homes []understudy.ServerID) map[understudy.ServerID]Kept {
	maps.DeleteFunc(s.tried, func(home understudy.ServerID, _ time.Time) bool { return !slices.Contains(homes, home) })
	var due map[understudy.ServerID]Kept
	for _, home := range homes {
		k := s.kept[home]
		if tried, ok := s.tried[home]; ok && tried.Equal(k.Bundle.Made) {
			continue
		}
		if due == nil {
			due = map[understudy.ServerID]Kept{}
		}
		if s.tried == nil {
			s.tried = map[understudy.ServerID]time.Time{}
		}
		s.tried[home], due[home] = k.Bundle.Made, k
	}
	return due
}

// Content is what a bundle has to say, once it is opened.
func (k Kept) Content(home understudy.ServerID, open func(understudy.Bundle) ([]byte, error)) ([]understudy.AssignedCamera, error) {
	if k.Bundle.Home != home {
		return nil, understudy.Errorf(understudy.CodeNotFound, "no sealed bundle of it has come here yet")
	}
	plain, err := open(k.Bundle)
	if err != nil {
		return nil, err
	}
	var cameras []understudy.AssignedCamera
	if err := json.Unmarshal(plain, &cameras); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the bundle of %s opens, and what is in it cannot be read: %w", home, err)
	}
	return cameras, nil
}
