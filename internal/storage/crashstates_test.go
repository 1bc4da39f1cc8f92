package storage_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"understudy/internal/fs"
	"understudy/internal/storage"
)

// explorer visits crash states: each prefix of what lives did, with choices about
// what was not synced then.
type explorer struct {
	seed     uint64
	wanted   int64             // states; a first pass over all moments is made anyway
	each     int               // most states of one moment in the first pass; twice as many in the next
	recovery int               // of so many states, one has its recovery cut, too; 0: none
	killed   int               // of so many moments, one has the process killed, and the recovery from that cut, too
	thorough int               // of so many states, one is started twice and checked; 0: none
	enough   int               // losses after which it ends
	wrap     func(fs.FS) fs.FS // plants a bug in each start; nil for none

	states atomic.Int64
	mu     sync.Mutex
	losses []string
}

// moment is a prefix of what a life did.
type moment struct {
	life  *life
	steps int
}

// explore visits states of all lives on all processors, in passes: the first one visits
// each moment, later ones go on with what was not visited yet, until it is enough.
func (e *explorer) explore(lives []*life) {
	seen := map[moment]map[uint64]bool{}
	for _, l := range lives {
		for n := range l.rec.Len() + 1 {
			seen[moment{l, n}] = map[uint64]bool{}
		}
	}
	for before := int64(-1); before < e.states.Load() && (before < 0 || e.states.Load() < e.wanted); e.each *= 2 {
		first := before < 0
		before = e.states.Load()
		moments := make(chan moment)
		var workers sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() {
				for m := range moments {
					if e.found() < e.enough && (first || e.states.Load() < e.wanted) {
						e.visit(m, e.each, e.recovery, seen[m])
					}
				}
			})
		}
		for m := range seen {
			moments <- m
		}
		close(moments)
		workers.Wait()
	}
}

// found counts the losses.
func (e *explorer) found() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.losses)
}

// visit visits states of a moment that were not seen yet, at most so many. Of so many, one has
// its recovery cut, too; 0: none.
func (e *explorer) visit(m moment, most, recovery int, seen map[uint64]bool) {
	disk, promised := m.life.rec.At(m.steps), m.life.at(m.steps)
	unsynced := disk.Unsynced()
	random := rand.New(rand.NewPCG(e.seed, uint64(crc32.ChecksumIEEE(fmt.Append(nil, m.life.name, m.steps, len(seen))))))
	if recovery > 0 && len(seen) == 0 && random.IntN(e.killed) == 0 { // the process ends, and the machine does not; then the power fails
		e.states.Add(1)
		if err := promised.verify(disk.Kill(), e.wrap, true); err != nil {
			e.lost(m, nil, nil, fmt.Errorf("the process was killed: %w", err))
		}
		if !slices.ContainsFunc(unsynced, func(u fs.Unsynced) bool { return u.Lost }) { // design/storage.md: a limit
			e.recover(m, "killed", disk.Kill(), promised)
		}
	}
	for _, choice := range choices(unsynced, most, random, seen) {
		fate := func(i int) fs.Fate { return choice[i] }
		e.states.Add(1)
		if err := promised.verify(disk.Crash(fate), e.wrap, e.thorough > 0 && random.IntN(e.thorough) == 0); err != nil {
			e.lost(m, unsynced, choice, err)
		}
		if recovery > 0 && random.IntN(recovery) == 0 {
			e.recover(m, "cut", disk.Crash(fate), promised)
		}
	}
}

// recover cuts the power in each moment of a recovery.
func (e *explorer) recover(m moment, how string, disk *fs.Memory, promised *promises) {
	after := &life{name: fmt.Sprintf("%s, %s after %d steps", m.life.name, how, m.steps), oracle: m.life.oracle, rec: disk.Record()}
	after.inherit(promised)
	s, err := m.life.oracle.open(disk, e.wrap)
	if err != nil {
		return // told already
	}
	after.observe(s)
	_ = s.Close()
	for n := range after.rec.Len() + 1 {
		e.visit(moment{after, n}, 6, 0, map[uint64]bool{})
	}
}

func (e *explorer) lost(m moment, unsynced []fs.Unsynced, choice []fs.Fate, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n\tworkload %q, seed %d, after %d steps; not synced were:", err, m.life.name, e.seed, m.steps)
	for i, u := range unsynced {
		fmt.Fprintf(&b, "\n\t\t%s %s %d: %s", u.Op, u.Name, u.Bytes, fateOf(u, choice[i]))
	}
	b.WriteString("\n\tthe steps before:")
	for i := max(0, m.steps-25); i < m.steps; i++ {
		op, name := m.life.rec.Step(i)
		fmt.Fprintf(&b, "\n\t\t%d %s %s", i, op, name)
	}
	e.losses = append(e.losses, b.String())
}

func fateOf(u fs.Unsynced, f fs.Fate) string {
	switch {
	case f == fs.Fate{}:
		return "dropped"
	case f.Bytes >= max(1, u.Bytes) && f.Holes == 0:
		return "kept"
	}
	return fmt.Sprintf("%d bytes, without sectors %b, the rest is %d", f.Bytes, f.Holes, f.Rest)
}

// choices returns choices about what was not synced that are not in seen: the
// systematic ones, then random ones, up to most.
func choices(unsynced []fs.Unsynced, most int, random *rand.Rand, seen map[uint64]bool) [][]fs.Fate {
	var list [][]fs.Fate
	add := func(choice []fs.Fate) {
		if hash := distinct(unsynced, choice); !seen[hash] {
			seen[hash] = true
			list = append(list, choice)
		}
	}
	all := systematic(unsynced)
	if len(all) > most && len(seen) > 0 { // those that treat all alike come first, the others in any order
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	for _, choice := range all {
		if len(list) < most {
			add(choice)
		}
	}
	for tries := 0; len(list) < most && tries < 2*most && len(unsynced) > 0; tries++ {
		choice := make([]fs.Fate, len(unsynced))
		for i, u := range unsynced {
			choice[i] = anyFate(u, random)
		}
		add(choice)
	}
	return list
}

// distinct takes out of a choice what makes no difference, and names it.
func distinct(unsynced []fs.Unsynced, choice []fs.Fate) uint64 {
	hash := uint64(14695981039346656037)
	for i, u := range unsynced {
		f := &choice[i]
		if f.Bytes = min(f.Bytes, max(1, u.Bytes)); u.Op != fs.OpWrite {
			*f = fs.Fate{Bytes: min(f.Bytes, 1)}
		}
		f.Holes &= 1<<(u.Bytes/512+2) - 1
		if f.Bytes == u.Bytes && f.Holes == 0 {
			f.Rest = fs.Absent
		}
		for _, v := range []uint64{uint64(f.Bytes), uint64(f.Rest), f.Holes} {
			hash = (hash ^ v) * 1099511628211
		}
	}
	return hash
}

func anyFate(u fs.Unsynced, random *rand.Rand) fs.Fate {
	switch n := random.IntN(10); {
	case n < 3:
		return fs.Fate{}
	case n < 6 || u.Op != fs.OpWrite:
		return fs.Kept
	case n < 9:
		return fs.Fate{Bytes: random.IntN(u.Bytes + 1), Rest: fs.Rest(random.IntN(3))}
	}
	return fs.Fate{Bytes: u.Bytes, Holes: random.Uint64(), Rest: fs.Rest(random.IntN(3))}
}

// systematic returns: all alike; names and data apart; each prefix; each change
// alone and each one left out; each subset where there are few; each write torn,
// at the ends, in the middle, at sectors, with nothing, zeros and garbage for the rest.
func systematic(unsynced []fs.Unsynced) (list [][]fs.Fate) {
	each := func(f func(i int, u fs.Unsynced) fs.Fate) {
		choice := make([]fs.Fate, len(unsynced))
		for i, u := range unsynced {
			choice[i] = f(i, u)
		}
		list = append(list, choice)
	}
	when := func(kept bool) fs.Fate {
		if kept {
			return fs.Kept
		}
		return fs.Fate{}
	}
	each(func(int, fs.Unsynced) fs.Fate { return fs.Fate{} })
	each(func(int, fs.Unsynced) fs.Fate { return fs.Kept })
	for _, data := range []fs.Fate{{}, {Rest: fs.Zeros}, {Rest: fs.Garbage}} {
		each(func(_ int, u fs.Unsynced) fs.Fate {
			if u.Op == fs.OpWrite {
				return data
			}
			return fs.Kept
		})
	}
	each(func(_ int, u fs.Unsynced) fs.Fate { return when(u.Op == fs.OpWrite || u.Op == fs.OpTruncate) })
	for n := range unsynced {
		each(func(i int, _ fs.Unsynced) fs.Fate { return when(i < n) })
		each(func(i int, _ fs.Unsynced) fs.Fate { return when(i == n) })
		each(func(i int, _ fs.Unsynced) fs.Fate { return when(i != n) })
	}
	for set := range 1 << min(len(unsynced), 6) {
		each(func(i int, _ fs.Unsynced) fs.Fate { return when(set>>i&1 != 0) })
	}
	for n, torn := range unsynced {
		alone := func(fate fs.Fate) {
			each(func(i int, _ fs.Unsynced) fs.Fate {
				if i == n {
					return fate
				}
				return fs.Kept
			})
		}
		for rest := fs.Absent; rest <= fs.Garbage && torn.Op == fs.OpWrite; rest++ {
			for _, at := range []int{1, 511, 512, torn.Bytes / 2, torn.Bytes - 1} {
				alone(fs.Fate{Bytes: at, Rest: rest})
			}
			for hole := range torn.Bytes/512 + 1 {
				alone(fs.Fate{Bytes: torn.Bytes, Holes: 1 << hole, Rest: rest})
			}
		}
	}
	return list
}

// TestCrashStates starts a store on what crashes leave, after each step of what
// servers do: all that was told durable is there, and nothing that never was.
// UNDERSTUDY_CRASH_STATES asks for more states than a test run has time for,
// UNDERSTUDY_CRASH_SEED for those of that seed, UNDERSTUDY_CRASH_ONLY for one workload.
func TestCrashStates(t *testing.T) {
	e := &explorer{seed: 1, wanted: 20_000, each: 2, recovery: 400, killed: 8, thorough: 20, enough: 10}
	if n := number(t, "UNDERSTUDY_CRASH_STATES"); n > 0 {
		*e = explorer{seed: rand.Uint64() >> 1, wanted: int64(n), each: 32, recovery: 100, killed: 1, thorough: 8, enough: 10}
	}
	e.seed = cmp.Or(number(t, "UNDERSTUDY_CRASH_SEED"), e.seed)
	only := os.Getenv("UNDERSTUDY_CRASH_ONLY")
	began := time.Now()
	var lives []*life
	steps := 0
	for _, name := range slices.Sorted(maps.Keys(workloads)) {
		if only != "" && only != name {
			continue
		}
		for _, l := range play(t, name, nil) {
			lives = append(lives, l)
			steps += l.rec.Len()
		}
	}
	e.explore(lives)
	e.tell(t, began, steps)
	if e.found() > 0 {
		return
	}
	// Once more, as a store with very many segments starts: it is compared with its files later.
	defer storage.CompareLater()()
	later := &explorer{seed: e.seed, wanted: e.wanted / 10, each: 1, recovery: 50 * e.recovery, killed: 5 * e.killed, thorough: e.thorough, enough: e.enough}
	began = time.Now()
	later.explore(lives)
	later.tell(t, began, steps)
}

// tell prints the figures, and what was lost.
func (e *explorer) tell(t *testing.T, began time.Time, steps int) {
	t.Helper()
	result, err := json.Marshal(map[string]any{"states": e.states.Load(), "losses": e.found(), "seconds": time.Since(began).Round(100 * time.Millisecond).Seconds(),
		"seed": e.seed, "workloads": len(workloads), "operations": steps})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", result)
	for _, loss := range e.losses {
		t.Error(loss)
	}
	if e.states.Load() < e.wanted && os.Getenv("UNDERSTUDY_CRASH_ONLY") == "" && e.found() == 0 {
		t.Errorf("%d crash states, want %d", e.states.Load(), e.wanted)
	}
}

func number(t *testing.T, variable string) uint64 {
	v := os.Getenv(variable)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s is no number: %v", variable, err)
	}
	return n
}
