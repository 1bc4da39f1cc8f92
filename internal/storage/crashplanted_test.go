package storage_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"understudy/internal/fs"
)

// planted is a disk under a store with a bug: one that leaves out, delays or
// repeats what makes things durable.
type planted struct {
	fs.FS
	bug  func(op fs.Op, name string, do func() error) error
	last *late
}

// late is what a bug does too late.
type late struct {
	mu sync.Mutex
	do func() error
}

func (l *late) before() {
	l.mu.Lock()
	do := l.do
	l.do = nil
	l.mu.Unlock()
	if do != nil {
		_ = do()
	}
}

func (p planted) SyncDir(name string) error {
	p.last.before()
	return p.bug(fs.OpSyncDir, name, func() error { return p.FS.SyncDir(name) })
}

func (p planted) OpenFile(name string, flag int) (fs.File, error) {
	p.last.before()
	f, err := p.FS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	if flag == os.O_RDONLY {
		name += " (read)"
	}
	return plantedFile{f, p, name}, nil
}

type plantedFile struct {
	fs.File
	planted
	name string
}

func (f plantedFile) Write(b []byte) (int, error) {
	f.last.before()
	return f.File.Write(b)
}

func (f plantedFile) WriteVector(parts [][]byte) (int, error) {
	f.last.before()
	return f.File.WriteVector(parts)
}

func (f plantedFile) Sync() error {
	f.last.before()
	return f.bug(fs.OpSync, f.name, f.File.Sync)
}

func (f plantedFile) Truncate(size int64) error {
	return f.bug(fs.OpTruncate, f.name, func() error { return f.File.Truncate(size) })
}

// The proof is worth what it can find: each of these bugs is found.
func TestPlantedBugsAreFound(t *testing.T) {
	without := func(op fs.Op, name string) func(*late) func(fs.Op, string, func() error) error {
		return func(*late) func(fs.Op, string, func() error) error {
			return func(o fs.Op, n string, do func() error) error {
				if o == op && strings.Contains(n, name) {
					return nil
				}
				return do()
			}
		}
	}
	for name, c := range map[string]struct {
		workload string
		bug      func(*late) func(fs.Op, string, func() error) error
	}{
		"a segment is not synced":             {"two cameras", without(fs.OpSync, ".mp4")},
		"a camera's folder is not synced":     {"two cameras", without(fs.OpSyncDir, "cameras/")},
		"the folder of cameras is not synced": {"two cameras", without(fs.OpSyncDir, "cameras")},
		"the store's folder is not synced": {"killed", func(*late) func(fs.Op, string, func() error) error {
			return func(o fs.Op, n string, do func() error) error {
				if o == fs.OpSyncDir && n == "." {
					return nil
				}
				return do()
			}
		}},
		"the store file is renamed before it is synced": {"two cameras", without(fs.OpSync, "store.json")},
		"a part is renamed before it is synced":         {"import", without(fs.OpSync, ".part")},
		"a recovery does not sync what it lists":        {"killed", without(fs.OpSync, "(read)")},
		"a recovery does not cut torn tails":            {"two cameras", without(fs.OpTruncate, ".mp4")},
		"it is told before it is synced": {"two cameras", func(l *late) func(fs.Op, string, func() error) error {
			return func(o fs.Op, n string, do func() error) error {
				if o == fs.OpSync && strings.HasSuffix(n, ".mp4") {
					l.mu.Lock()
					defer l.mu.Unlock()
					l.do = do
					return nil
				}
				return do()
			}
		}},
		"a sync that failed is tried again": {"a sync fails", func(*late) func(fs.Op, string, func() error) error {
			return func(_ fs.Op, _ string, do func() error) error {
				if err := do(); err == nil {
					return nil
				}
				return do()
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &late{}
			bug := c.bug(l)
			wrap := func(disk fs.FS) fs.FS { return planted{disk, bug, l} }
			e := &explorer{seed: 1, each: 16, recovery: 20, killed: 1, thorough: 4, wrap: wrap, enough: 1}
			e.explore(play(t, c.workload, wrap))
			if len(e.losses) == 0 {
				t.Errorf("%d crash states were visited, and the bug was not found", e.states.Load())
			} else {
				t.Logf("found after %d states: %.120s", e.states.Load(), e.losses[0])
			}
		})
	}
}
