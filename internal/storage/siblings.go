package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"understudy"
)

// openFolders opens all folders of the configuration. What each remembers of
// the others tells a new folder from one whose disk is not mounted.
func (s *Store) openFolders(ctx context.Context) error {
	family := family{}
	var known, fresh []*folder
	var failed []error
	for _, c := range s.config.Folders {
		f := s.newFolder(c)
		id, err := f.peek()
		switch {
		case err != nil:
			failed = append(failed, err)
			s.leaveOut(c.Dir, err)
		case id == nil:
			fresh = append(fresh, f)
		default:
			known = append(known, f)
			for _, other := range id.Siblings {
				if _, ok := family[other.Incarnation]; !ok {
					family[other.Incarnation] = other
				}
			}
			family[id.Incarnation] = sibling{id.Incarnation, id.Ordinal, c.Dir}
		}
	}
	for _, f := range known {
		if err := s.openFolder(ctx, f, nil); err != nil {
			failed = append(failed, err)
		}
	}
	for _, f := range fresh {
		ordinal, err := family.welcome(f.config.Dir, len(failed) > 0)
		if err != nil {
			s.leaveOut(f.config.Dir, err)
		} else if err = s.openFolder(ctx, f, &storeIdentity{Format: format, Server: s.server, Ordinal: ordinal}); err == nil {
			family[f.incarnation] = sibling{f.incarnation, f.identity.Ordinal, f.config.Dir}
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	if len(s.folders) == 0 || ctx.Err() != nil {
		for _, f := range s.folders {
			f.lock.Close()
		}
		return cmp.Or(ctx.Err(), failed[0])
	}
	slices.SortStableFunc(s.folders, func(a, b *folder) int { return cmp.Compare(s.rank(a), s.rank(b)) })
	for _, f := range s.folders {
		if err := f.setSiblings(family.list()); err != nil {
			s.log.Warn("a folder could not be told of the others; the next start does", "folder", f.config.Dir, "err", err)
		}
	}
	return nil
}

// rank is a folder's place in the configuration.
func (s *Store) rank(f *folder) int {
	return slices.IndexFunc(s.config.Folders, func(c FolderConfig) bool { return c.Dir == f.config.Dir })
}

// openFolder opens one folder, or says why it is left out.
func (s *Store) openFolder(ctx context.Context, f *folder, fresh *storeIdentity) error {
	err := f.open(ctx, fresh)
	for _, other := range s.folders {
		if err == nil && other.identity.Ordinal == f.identity.Ordinal {
			err = understudy.Errorf(understudy.CodeConflict,
				"the recordings' folders %s and %s both have the ordinal %d in their store: one is a copy of the other, or was added while the other was away; leave one out of the configuration", other.config.Dir, f.config.Dir, f.identity.Ordinal)
		}
	}
	if err != nil {
		err = f.explain(err)
		f.forget()
		s.leaveOut(f.config.Dir, err)
		return err
	}
	s.folders = append(s.folders, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = max(s.next, f.identity.Sequence)
	return nil
}

// forget undoes a folder that was opened in part.
func (f *folder) forget() {
	if f.lock != nil {
		f.lock.Close()
	}
	s := f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for camera, c := range s.cameras {
		maps.DeleteFunc(c.days, func(key dayKey, d *day) bool {
			if key.folder != f {
				return false
			}
			s.account(d, -1)
			if d.loaded {
				s.loaded--
			}
			return true
		})
		if s.places[camera] == f {
			delete(s.places, camera)
			delete(s.watermarks, camera)
		}
	}
}

// leaveOut notes that a folder is not used; where it is the only one, Open fails instead.
func (s *Store) leaveOut(dir string, err error) {
	s.missing = append(s.missing, understudy.FolderState{Dir: dir, Sentence: err.Error()})
	if len(s.config.Folders) > 1 && !errors.Is(err, context.Canceled) {
		s.report("", fmt.Sprintf("the recordings' folder %s is left out until the next start, recording goes on in the others: %v", dir, err))
	}
}

// family is all folders that a store ever had, as far as those here remember.
type family map[string]sibling

func (f family) list() []sibling {
	var list []sibling
	for _, s := range f {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b sibling) int {
		return cmp.Or(cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return list
}

// welcome gives a new folder its ordinal. It refuses one that had a store, and
// all while a folder is away that may know of one that the others do not.
func (f family) welcome(dir string, away bool) (uint64, error) {
	used := map[uint64]bool{}
	for _, s := range f {
		used[s.Ordinal] = true
		if s.Dir == dir {
			return 0, understudy.Errorf(understudy.CodeConflict,
				"the recordings' folder %s was part of this store and is empty now: its disk is not mounted; mount it, or, if the disk was replaced, name another folder on the new one in the configuration", dir)
		}
	}
	if away {
		return 0, understudy.Errorf(understudy.CodeConflict,
			"the recordings' folder %s is new and is not made part of the store while another folder is away; bring that one back, or take it out of the configuration", dir)
	}
	for ordinal := uint64(1); ordinal < maxFolders; ordinal++ {
		if !used[ordinal] {
			return ordinal, nil
		}
	}
	return 0, understudy.Errorf(understudy.CodeConflict, "a store has at most %d folders over its life; the folder %s is one too many", maxFolders-1, dir)
}
