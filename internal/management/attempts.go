package management

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"understudy"
)

// backOff is how tries are slowed down: some are free, then each one more
// doubles the pause, up to a limit.
type backOff struct {
	free  int
	first time.Duration
	most  time.Duration
}

var (
	// An account's pause stays short: anyone can cause it, and its owner waits, too.
	accountBackOff = backOff{free: 5, first: time.Second, most: 30 * time.Second}
	// Behind one address there may be a whole office, or one who guesses.
	addressBackOff = backOff{free: 20, first: time.Second, most: 15 * time.Minute}
)

func (b backOff) pause(tries int) time.Duration {
	pause := time.Duration(0)
	for n := b.free; n < tries && pause < b.most; n++ {
		pause = max(b.first, 2*pause)
	}
	return min(pause, b.most)
}

const (
	forgetTries = time.Hour // after the last one
	maxTries    = 10000     // accounts and addresses remembered
)

// attempts counts tries to prove an identity.
type attempts struct {
	mu    sync.Mutex
	tries map[tryKey]*tries
}

type tryKey struct {
	kind string // "account" or "address"
	name string
}

type tries struct {
	count int
	last  time.Time
	until time.Time // no further try before
}

// try is one that was counted.
type try struct{ account, address tryKey }

func newAttempts() *attempts { return &attempts{tries: map[tryKey]*tries{}} }

// begin counts a try, or says how long to wait. An empty address is not counted.
func (a *attempts) begin(now time.Time, account, address string) (try, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := try{tryKey{"account", account}, tryKey{"address", network(address)}}
	if len(account) > maxName {
		t.account.name = account[:maxName]
	}
	for _, key := range []tryKey{t.account, t.address} {
		if seen, ok := a.tries[key]; ok && key.name != "" && seen.until.After(now) {
			return t, understudy.Errorf(understudy.CodeUnavailable, "too many sign-ins were refused; try again in %s",
				max(time.Second, seen.until.Sub(now).Round(time.Second)))
		}
	}
	a.count(t.account, accountBackOff, now)
	if t.address.name != "" {
		a.count(t.address, addressBackOff, now)
	}
	return t, nil
}

func (a *attempts) count(key tryKey, b backOff, now time.Time) {
	seen, ok := a.tries[key]
	if !ok || now.Sub(seen.last) > forgetTries {
		if !ok && len(a.tries) >= maxTries {
			a.makeRoom(now)
		}
		seen = &tries{}
		a.tries[key] = seen
	}
	seen.count++
	seen.last, seen.until = now, now.Add(b.pause(seen.count))
}

// makeRoom forgets what is old, or else the oldest.
func (a *attempts) makeRoom(now time.Time) {
	var oldest tryKey
	var last time.Time
	for key, seen := range a.tries {
		if now.Sub(seen.last) > forgetTries {
			delete(a.tries, key)
		} else if last.IsZero() || seen.last.Before(last) {
			oldest, last = key, seen.last
		}
	}
	if len(a.tries) >= maxTries {
		delete(a.tries, oldest)
	}
}

// succeeded forgets the account's tries, and of the address this one only: who
// has an account could guess at others between two sign-ins of their own.
func (a *attempts) succeeded(t try) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tries, t.account)
	if seen, ok := a.tries[t.address]; ok {
		seen.count = max(0, seen.count-1)
		seen.until = seen.last.Add(addressBackOff.pause(seen.count))
	}
}

// network returns what is counted of an address: the host, of IPv6 the /64 that
// one customer gets.
func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}
