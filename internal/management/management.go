// Package management is the authority of a site: which cameras and servers
// there are, who holds the lease of each camera, who may sign in, and the log
// of all that happened. It knows no SQL and no HTTP: it keeps everything in a
// Store, and whoever serves it calls its methods.
//
// The site is changed in one way only: an event is appended that says what
// changed and why, and the store makes the change in the same transaction. So
// the log and the site cannot disagree.
package management

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"understudy"
	"understudy/internal/seal"
)

// Sealer opens the keys under which is sealed what is stored and must be read again: the
// passwords of cameras, and second factors.
type Sealer interface {
	// Keyring opens the ring that is stored with them, the same at every management server of
	// a site; nil where nothing is stored yet.
	Keyring(stored []byte) (*seal.Ring, error)
}

// Hasher makes of a user's password what is stored of it.
type Hasher interface {
	Hash(ctx context.Context, password understudy.Secret) (string, error)
	// Verify with an empty hash takes as long as with a wrong password, and is false.
	Verify(ctx context.Context, hash string, password understudy.Secret) (bool, error)
	// Current reports whether Hash would make one that costs as much.
	Current(hash string) bool
}

// Options are the parts that New needs besides a store.
type Options struct {
	Sealer Sealer
	Hasher Hasher
	// Bundles seals what failover servers keep for the day on which nobody can be
	// asked; nil makes none.
	Bundles BundleSealer
	// Witness looks at the servers before a claim is granted; nil grants by the lease alone.
	Witness witness
	// KeepEvents is how many events the log keeps, more than the 4096 that the
	// service channel may look back; 0 is a million.
	KeepEvents uint64
	// AuditKey is that of the chain of the log (audit.go). Every management server of a site has the same.
	AuditKey []byte
	// Issuer exchanges the CA of the installation; nil exchanges none.
	Issuer issuer
	// Anchor keeps the end of the log outside of the store; nil keeps it nowhere.
	Anchor anchor
	// Clock tells the time of all that is written and judged; nil is the system's.
	Clock func() time.Time
}

// defaultKeepEvents is some hundred megabytes, and years of a site where little
// fails. A server that reports as fast as it may fills it in a day.
const defaultKeepEvents = 1_000_000

// Management is the authority of a site. It implements the root package's
// CameraService, ServerService, LeaseService, AssignmentService, BundleService,
// EventService, UserService, TriggerService and LockService. All methods may be called at the same time.
//
// Who is asking is taken from the context (understudy.WithAsker) and stands in
// the log; whether they may ask is decided by the caller, with Identity.May.
type Management struct {
	store    Store
	sealer   Sealer
	hasher   Hasher
	witness  witness
	issuer   issuer
	anchor   anchor
	keep     uint64 // events
	chain    chain
	clock    func() time.Time
	attempts *attempts
	reports  *rateLimit
	triggers *rateLimit
	refusals *recentRefusals
	seals    BundleSealer // nil makes no bundles
	bundles  bundles

	mu      sync.Mutex
	stream  string
	seq     uint64        // the newest event known
	changed chan struct{} // closed, and replaced, when seq grows
}

var _ understudy.ManagementService = (*Management)(nil)

// New returns the authority over what is in store, which may be empty.
func New(ctx context.Context, store Store, o Options) (*Management, error) {
	m := &Management{
		store: store, sealer: o.Sealer, hasher: o.Hasher, witness: o.Witness, issuer: o.Issuer, anchor: o.Anchor, keep: cmp.Or(o.KeepEvents, defaultKeepEvents), chain: chain(o.AuditKey),
		clock: o.Clock, attempts: newAttempts(), refusals: newRecentRefusals(),
		seals: o.Bundles, bundles: bundles{made: map[bundleOf]madeBundle{}},
		reports: newRateLimit(reportsEvery, reportBurst), triggers: newRateLimit(triggersEvery, triggerBurst),
		changed: make(chan struct{}),
	}
	if m.clock == nil {
		m.clock = time.Now
	}
	err := store.Update(ctx, func(tx Tx) error {
		c, err := m.begin(ctx, tx)
		if err != nil {
			return err
		}
		if err := m.takeInKeys(tx); err != nil {
			return err
		}
		log, err := tx.Log()
		if err != nil {
			return err
		}
		c.stream = log.Stream
		switch {
		case log.Stream != "":
		case c.site.Seq == 0: // a new site
			c.stream = newStream()
			err = tx.PutLog(Log{Stream: c.stream, Floor: log.Floor})
		default:
			err = c.fromBackup()
		}
		m.seq, m.stream = c.site.Seq, c.stream
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func newStream() string { return "log-" + rand.Text()[:16] }

// Stream returns the name of the log. It changes when the log turns out to
// have been restored from a backup, so that a cursor into the lost part is
// recognised as foreign.
func (m *Management) Stream() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stream
}

// Wait returns nil as soon as there is an event with a number higher than
// after, and the context's error if ctx ends first.
func (m *Management) Wait(ctx context.Context, after uint64) error {
	for {
		m.mu.Lock()
		seq, changed := m.seq, m.changed
		m.mu.Unlock()
		if seq > after {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Management) announce(seq uint64, stream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if stream != "" {
		m.stream = stream
	}
	if seq > m.seq {
		m.seq = seq
		close(m.changed)
		m.changed = make(chan struct{})
	}
}

// change is one transaction that may change the site.
type change struct {
	Tx
	actor string
	from  string // address
	chain chain
	now   time.Time
	keep  uint64          // events
	site  understudy.Site // as it is after what was recorded so far

	stream   string   // of the log, if it was renamed
	refusals []string // that were recorded
}

// update runs f in one transaction and, if it committed, tells those who wait.
func (m *Management) update(ctx context.Context, f func(*change) error) error {
	var done *change
	err := m.store.Update(ctx, func(tx Tx) error {
		c, err := m.begin(ctx, tx)
		if err != nil {
			return err
		}
		done = c
		return f(c)
	})
	if err != nil {
		return err
	}
	m.refusals.remember(done.refusals, done.now)
	m.announce(done.site.Seq, done.stream)
	return nil
}

// begin begins a change on the site as it is.
func (m *Management) begin(ctx context.Context, tx Tx) (*change, error) {
	site, err := tx.Site()
	asker := understudy.Asker(ctx)
	return &change{Tx: tx, actor: asker.String(), from: asker.Address, chain: m.chain, now: m.now(), keep: m.keep, site: site}, err
}

// record appends e, with it makes its changes, and forgets the event that there
// is no more room for.
func (c *change) record(e understudy.Event) error {
	e.At = c.now
	if e.Actor == "" {
		e.Actor = c.actor
	}
	e.From, e.Was = c.from, append(e.Was, was(c.site, e.Changes)...) // users are not of the site
	log, err := c.Log()
	if err != nil {
		return err
	}
	e.Seq = c.site.Seq + 1
	if e.Hash, err = c.chain.next(log.Head, e); err != nil {
		return err
	}
	if e, err = c.Append(e); err != nil {
		return err
	}
	if c.site, err = c.Site(); err != nil {
		return err
	}
	if e.Seq > c.keep {
		return c.ForgetEvents(e.Seq - c.keep)
	}
	return nil
}

// now is UTC in microseconds: what every database keeps exactly.
func (m *Management) now() time.Time { return m.clock().UTC().Truncate(time.Microsecond) }

// unavailable wraps what a part failed with that may succeed later.
func unavailable(what string, err error) error {
	if _, ok := errors.AsType[*understudy.Error](err); ok {
		return err
	}
	return understudy.Errorf(understudy.CodeUnavailable, "%s: %w", what, err)
}
