package identity

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"understudy"
)

const (
	maxPassword  = 1024
	hashesAtOnce = 2  // each takes 19 MiB
	hashesQueued = 64 // and a queue of them a fraction of a second each
)

// argon holds the costs of argon2id. Those of new hashes are OWASP's (Password Storage
// Cheat Sheet), of which all are said to be as hard to guess, so that two cores let
// twenty people in a second: RFC 9106 §4 would take six times as long. Of OWASP's it is
// one of little memory, as that is new memory for each, whose pages the system clears
// at their first touch: 46 MiB and one pass took 41 of 69 ms for it.
type argon struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

var newHashes = argon{memory: 19 << 10, passes: 2, threads: 1}

const (
	saltSize = 16
	hashSize = 32
)

// Passwords hashes passwords with argon2id, a bounded number at a time, since
// each takes much memory on purpose.
type Passwords struct {
	slots  chan struct{}
	queued atomic.Int32
	cost   argon
}

// NewPasswords returns a hasher. One is shared by all that hash in a process.
func NewPasswords() *Passwords {
	return &Passwords{slots: make(chan struct{}, hashesAtOnce), cost: newHashes}
}

// Hash returns the hash of a new password as a PHC string,
// $argon2id$v=19$m=19456,t=2,p=1$salt$hash. CodeInvalid for a password longer
// than 1024 bytes, CodeUnavailable while too many are being hashed.
func (p *Passwords) Hash(ctx context.Context, password understudy.Secret) (string, error) {
	if len(password) > maxPassword {
		return "", understudy.Errorf(understudy.CodeInvalid, "a password has up to %d bytes, and this one has %d", maxPassword, len(password))
	}
	salt := randomBytes(saltSize)
	var sum []byte
	err := p.limited(ctx, func() { sum = p.cost.sum(password, salt, hashSize) })
	return phc{p.cost, salt, sum}.String(), err
}

// Verify reports whether password has that hash. For a hash that is empty or
// malformed it is false, and takes as long, so that the time does not tell
// whether a user exists. CodeUnavailable while too many are being hashed.
func (p *Passwords) Verify(ctx context.Context, hash string, password understudy.Secret) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	stored, known := parsePHC(hash)
	if !known {
		stored = phc{p.cost, make([]byte, saltSize), make([]byte, hashSize)}
	}
	equal := 0
	err := p.limited(ctx, func() {
		equal = subtle.ConstantTimeCompare(stored.sum, stored.cost.sum(password, stored.salt, len(stored.sum)))
	})
	return err == nil && known && equal == 1, err
}

// Current reports whether a hash is of the cost of new ones.
func (p *Passwords) Current(hash string) bool {
	stored, known := parsePHC(hash)
	return known && stored.cost == p.cost
}

func (p *Passwords) limited(ctx context.Context, f func()) error {
	if p.queued.Add(1) > hashesQueued {
		p.queued.Add(-1)
		return understudy.Errorf(understudy.CodeUnavailable, "too many people are signing in at once: try again in a moment")
	}
	defer p.queued.Add(-1)
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return understudy.Errorf(understudy.CodeUnavailable, "the request ended before its password was looked at: %w", ctx.Err())
	}
	defer func() { <-p.slots }()
	f()
	return nil
}

func (a argon) sum(password understudy.Secret, salt []byte, size int) []byte {
	return argon2.IDKey([]byte(password), salt, a.passes, a.memory, a.threads, uint32(size))
}

// phc is a hash in the PHC string format.
type phc struct {
	cost      argon
	salt, sum []byte
}

func (h phc) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.memory, h.cost.passes, h.cost.threads, encode(h.salt), encode(h.sum))
}

// parsePHC reads a stored hash. Costs are bounded, so that a damaged row
// cannot take the server's memory or time.
func parsePHC(text string) (phc, bool) {
	var h phc
	if len(text) > 512 {
		return h, false
	}
	fields := strings.Split(text, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, false
	}
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &h.cost.memory, &h.cost.passes, &h.cost.threads); err != nil {
		return h, false
	}
	var saltErr, sumErr error
	decoding := base64.RawStdEncoding.Strict()
	h.salt, saltErr = decoding.DecodeString(fields[4])
	h.sum, sumErr = decoding.DecodeString(fields[5])
	ok := saltErr == nil && sumErr == nil && len(h.salt) >= 8 && len(h.sum) >= 16 && len(h.sum) <= 64 &&
		h.cost.memory >= 8 && h.cost.memory <= 256<<10 && h.cost.passes >= 1 && h.cost.passes <= 16 &&
		h.cost.threads >= 1 && h.cost.threads <= 16 && h.String() == text
	return h, ok
}
