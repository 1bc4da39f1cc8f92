package management

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"understudy"
)

// Memory is a Store that forgets everything when the process ends.
type Memory struct {
	mu    sync.RWMutex
	state memoryState
}

// NewMemory returns an empty store in memory.
func NewMemory() *Memory {
	return &Memory{state: memoryState{
		epochs:     map[understudy.CameraID]uint64{},
		passwords:  map[understudy.CameraID][]byte{},
		claims:     map[string]ClaimRecord{},
		triggers:   map[string]TriggerRecord{},
		accounts:   map[string]Account{},
		preflights: map[understudy.ServerID]understudy.Preflight{},
		tokens:     map[TokenHash]Token{},
	}}
}

// Copy returns a store with the same content, as a backup is.
func (s *Memory) Copy() *Memory {
	s.mu.RLock()
	defer s.mu.RUnlock()
	state := s.state
	state.events = slices.Clone(state.events)
	state.epochs, state.passwords, state.claims = maps.Clone(state.epochs), maps.Clone(state.passwords), maps.Clone(state.claims)
	state.triggers, state.accounts, state.tokens = maps.Clone(state.triggers), maps.Clone(state.accounts), maps.Clone(state.tokens)
	return &Memory{state: state}
}

// Update runs f while nobody else reads or writes.
func (s *Memory) Update(ctx context.Context, f func(Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &memoryTx{memoryState: &s.state}
	committed := false
	defer func() {
		if !committed { // by an error or a panic of f
			tx.rollBack()
		}
	}()
	if err := f(tx); err != nil {
		return err
	}
	committed = true
	return nil
}

// View runs f while nobody writes.
func (s *Memory) View(ctx context.Context, f func(Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return f(&s.state)
}

// memoryState is what a store in memory holds; it implements Reader.
type memoryState struct {
	log        Log
	site       understudy.Site
	events     []understudy.Event // by number, without holes
	epochs     map[understudy.CameraID]uint64
	passwords  map[understudy.CameraID][]byte
	keyring    []byte
	claims     map[string]ClaimRecord
	triggers   map[string]TriggerRecord
	accounts   map[string]Account
	preflights map[understudy.ServerID]understudy.Preflight
	tokens     map[TokenHash]Token
}

func (s *memoryState) Log() (Log, error) { return s.log, nil }

// Site hands out the value itself: a site is never changed in place.
func (s *memoryState) Site() (understudy.Site, error) { return s.site, nil }

func (s *memoryState) Events(q understudy.EventQuery) ([]understudy.Event, error) {
	selected := func(e understudy.Event) bool {
		return e.Seq > q.After && (q.Before == 0 || e.Seq < q.Before) &&
			(q.Kind == "" || e.Kind == q.Kind) && (q.Camera == "" || slices.Contains(CamerasOf(e), q.Camera)) &&
			(q.Server == "" || e.Server == q.Server) && (q.Actor == "" || e.Actor == q.Actor) &&
			(q.Since.IsZero() || !e.At.Before(q.Since)) && (q.Until.IsZero() || e.At.Before(q.Until)) &&
			strings.Contains(strings.ToLower(e.Sentence), strings.ToLower(q.Text))
	}
	found := []understudy.Event{}
	if q.After > 0 {
		for _, e := range s.events[s.upTo(q.After):] {
			if len(found) == q.Limit {
				break
			}
			if selected(e) {
				found = append(found, e)
			}
		}
		return found, nil
	}
	for _, e := range slices.Backward(s.events) {
		if len(found) == q.Limit {
			break
		}
		if selected(e) {
			found = append(found, e)
		}
	}
	slices.Reverse(found)
	return found, nil
}

// upTo returns how many events have a number up to seq.
func (s *memoryState) upTo(seq uint64) int {
	n, _ := slices.BinarySearchFunc(s.events, seq, func(e understudy.Event, seq uint64) int {
		if e.Seq <= seq {
			return -1
		}
		return 1
	})
	return n
}

func (s *memoryState) Epoch(camera understudy.CameraID) (uint64, error) {
	if camera != understudy.AllCameras {
		return s.epochs[camera], nil
	}
	highest := uint64(0)
	for _, epoch := range s.epochs {
		highest = max(highest, epoch)
	}
	return highest, nil
}

func (s *memoryState) Passwords(cameras []understudy.CameraID) (map[understudy.CameraID][]byte, error) {
	found := make(map[understudy.CameraID][]byte)
	for _, camera := range cameras {
		if sealed, ok := s.passwords[camera]; ok {
			found[camera] = sealed
		}
	}
	return found, nil
}

func (s *memoryState) Keyring() ([]byte, error) { return s.keyring, nil }

func (s *memoryState) Claim(id string) (ClaimRecord, bool, error) {
	c, ok := s.claims[id]
	return c, ok, nil
}

func (s *memoryState) Trigger(id string) (TriggerRecord, bool, error) {
	t, ok := s.triggers[id]
	return t, ok, nil
}

func (s *memoryState) Preflights() ([]understudy.Preflight, error) {
	return slices.SortedFunc(maps.Values(s.preflights), func(a, b understudy.Preflight) int {
		return cmp.Compare(a.Server, b.Server)
	}), nil
}

func (s *memoryState) Accounts() ([]Account, error) {
	return slices.SortedFunc(maps.Values(s.accounts), func(a, b Account) int {
		return strings.Compare(a.User.Name, b.User.Name)
	}), nil
}

func (s *memoryState) Account(name string) (Account, bool, error) {
	a, ok := s.accounts[name]
	return a, ok, nil
}

func (s *memoryState) Token(hash TokenHash) (Token, bool, error) {
	t, ok := s.tokens[hash]
	return t, ok, nil
}

func (s *memoryState) Tokens(purpose Purpose) ([]Token, error) {
	var found []Token
	for _, t := range s.tokens {
		if t.Purpose == purpose {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b Token) int {
		return cmp.Or(a.Created.Compare(b.Created), slices.Compare(a.Hash[:], b.Hash[:]))
	})
	return found, nil
}

// memoryTx writes in place and remembers how to take it back.
type memoryTx struct {
	*memoryState
	undo []func()
}

func (tx *memoryTx) rollBack() {
	for _, undo := range slices.Backward(tx.undo) {
		undo()
	}
}

// set changes one entry of a map of tx, or removes it.
func set[K comparable, V any](tx *memoryTx, m map[K]V, key K, value V, keep bool) {
	before, was := m[key]
	tx.undo = append(tx.undo, func() {
		if was {
			m[key] = before
		} else {
			delete(m, key)
		}
	})
	if keep {
		m[key] = value
	} else {
		delete(m, key)
	}
}

func (tx *memoryTx) PutLog(l Log) error {
	before := tx.log
	tx.undo = append(tx.undo, func() { tx.log = before })
	l.Head = before.Head
	tx.log = l
	return nil
}

func (tx *memoryTx) Append(e understudy.Event) (understudy.Event, error) {
	site, count, head := tx.site, len(tx.events), tx.log.Head
	tx.undo = append(tx.undo, func() { tx.site, tx.events, tx.log.Head = site, tx.events[:count], head })
	e.Seq = site.Seq + 1
	for _, c := range e.Changes {
		if c.Lease == nil {
			continue
		}
		if err := c.Lease.Above(tx.epochs[c.Lease.Camera]); err != nil {
			return e, err
		}
		set(tx, tx.epochs, c.Lease.Camera, c.Lease.Epoch, true)
	}
	tx.events = append(tx.events, e)
	tx.site, tx.log.Head = site.Apply(e), e.Hash
	return e, nil
}

func (tx *memoryTx) ForgetEvents(through uint64) error {
	events := tx.events
	tx.undo = append(tx.undo, func() { tx.events = events })
	tx.events = events[tx.upTo(through):]
	return nil
}

func (tx *memoryTx) PutPassword(camera understudy.CameraID, sealed []byte) error {
	set(tx, tx.passwords, camera, slices.Clone(sealed), sealed != nil)
	return nil
}

func (tx *memoryTx) PutKeyring(sealed []byte) error {
	before := tx.keyring
	tx.undo = append(tx.undo, func() { tx.keyring = before })
	tx.keyring = slices.Clone(sealed)
	return nil
}

func (tx *memoryTx) PutClaim(c ClaimRecord) error {
	set(tx, tx.claims, c.ID, c, true)
	return nil
}

func (tx *memoryTx) ForgetClaims(before time.Time) error {
	for id, c := range tx.claims {
		if c.At.Before(before) {
			set(tx, tx.claims, id, c, false)
		}
	}
	return nil
}

func (tx *memoryTx) PutTrigger(t TriggerRecord) error {
	set(tx, tx.triggers, t.Trigger.ID, t, true)
	return nil
}

func (tx *memoryTx) ForgetTriggers(before time.Time) error {
	for id, t := range tx.triggers {
		if t.Told.Before(before) {
			set(tx, tx.triggers, id, t, false)
		}
	}
	return nil
}

func (tx *memoryTx) PutPreflight(p understudy.Preflight) error {
	set(tx, tx.preflights, p.Server, p, true)
	return nil
}

func (tx *memoryTx) DeletePreflight(server understudy.ServerID) error {
	set(tx, tx.preflights, server, understudy.Preflight{}, false)
	return nil
}

func (tx *memoryTx) PutAccount(a Account) error {
	set(tx, tx.accounts, a.User.Name, a, true)
	return nil
}

func (tx *memoryTx) DeleteAccount(name string) error {
	set(tx, tx.accounts, name, Account{}, false)
	return nil
}

func (tx *memoryTx) PutToken(t Token) error {
	set(tx, tx.tokens, t.Hash, t, true)
	return nil
}

func (tx *memoryTx) DeleteToken(hash TokenHash) error {
	set(tx, tx.tokens, hash, Token{}, false)
	return nil
}
