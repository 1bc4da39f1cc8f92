package storage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	iofs "io/fs"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"

	"understudy"
	"understudy/internal/fs"
)

// What lies in a folder of a store.
const (
	storeFile   = "store.json"
	lockFile    = "lock"
	camerasDir  = "cameras"
	incomingDir = "incoming"
)

// format is the version of the folder's layout.
const format = 2

// Numbers are reserved on disk in blocks, so that a number is never used twice
// although the segments that had it are long gone.
const sequenceBlock = 1000 * maxFolders

// maxFolders bounds the ordinals of the folders that a store ever has: each gives
// out only the numbers that leave its ordinal as the rest of a division by this.
const maxFolders = 64

// syncsAtOnce bounds the threads that wait for a disk.
const syncsAtOnce = 8

// folder is one directory of a store, on one disk: nothing that this disk does
// or fails to do touches another one.
type folder struct {
	store       *Store
	config      FolderConfig
	fs          fs.FS
	log         *slog.Logger
	lock        io.Closer
	incarnation string // as in identity, which must not be waited for
	health      health
	syncs       latency
	slots       chan struct{} // of syncs
	queued      atomic.Int64  // bytes that its writers hold
	written     atomic.Int64  // bytes since upkeep last looked
	before      int64         // of upkeep only: those of the time before

	identityMu diskLock // guards identity, also over writes of the store file
	identity   storeIdentity

	victims victims // of the goroutine of upkeep
	looks   looks   // of the goroutine that deletes what is due
	notes   *notebook

	indexMu diskLock // one writer of index files at a time

	madeMu diskLock        // guards made
	made   map[string]bool // folders that are durable

	// The store's mu guards these.
	used     int64                        // bytes of durable segments
	suspects map[understudy.CameraID]bool // cameras to be compared with their index
}

// storeIdentity is the content of the store file.
type storeIdentity struct {
	Format      int                 `json:"format"`
	Server      understudy.ServerID `json:"server"`
	Incarnation string              `json:"incarnation"`
	Ordinal     uint64              `json:"ordinal"`  // from 1; never that of another folder, also of one that is gone
	Sequence    uint64              `json:"sequence"` // up to this, numbers of the ordinal may have been used
	Siblings    []sibling           `json:"siblings,omitempty"`
}

// sibling is another folder of the same store.
type sibling struct {
	Incarnation string `json:"incarnation"`
	Ordinal     uint64 `json:"ordinal"`
	Dir         string `json:"dir"` // where it was
}

func (s *Store) newFolder(c FolderConfig) *folder {
	if c.FS == nil {
		c.FS = fs.System(c.Dir)
	}
	f := &folder{
		store: s, config: c, fs: c.FS, log: s.log.With("folder", c.Dir),
		slots: make(chan struct{}, syncsAtOnce), made: map[string]bool{}, suspects: map[understudy.CameraID]bool{},
	}
	f.notes = &notebook{fs: f.fs, do: f.health.do, makeDir: f.makeCameraDir, replace: f.replaceFile,
		wrote: func(n int) { f.written.Add(int64(n)) }, cameras: map[understudy.CameraID]*cameraNotes{}}
	return f
}

// peek reads what the folder says of itself, without changing anything; nil if
// there is no store in it.
func (f *folder) peek() (*storeIdentity, error) {
	content, err := f.readFile(storeFile)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, f.explain(err)
	}
	var id storeIdentity
	if err := json.Unmarshal(content, &id); err != nil || id.Incarnation == "" || id.Format == format && (id.Ordinal == 0 || id.Ordinal >= maxFolders) {
		return nil, understudy.Errorf(understudy.CodeConflict,
			"%s in the recordings' folder %s is damaged; restore it from a backup, or move the folder away and begin with an empty one", storeFile, f.config.Dir)
	}
	if id.Format != format {
		return nil, understudy.Errorf(understudy.CodeConflict,
			"the recordings' folder %s has format %d, and this program knows format %d: use the program that wrote it, or a newer one", f.config.Dir, id.Format, format)
	}
	if f.store.server != "" && id.Server != f.store.server {
		return nil, understudy.Errorf(understudy.CodeConflict,
			"the recordings' folder %s belongs to server %s, and this is server %s; give it a folder of its own", f.config.Dir, id.Server, f.store.server)
	}
	return &id, nil
}

// open takes the folder: the lock, and what is in the store file, which fresh
// makes where there is none yet.
func (f *folder) open(ctx context.Context, fresh *storeIdentity) error {
	if err := f.fs.MkdirAll("."); err != nil {
		return err
	}
	if err := f.claim(); err != nil { // before a lock file litters a folder that is not ours
		return err
	}
	lock, err := f.fs.Lock(lockFile)
	if err != nil {
		return understudy.Errorf(understudy.CodeConflict,
			"the recordings' folder %s is held by another process; stop that one, or give this server a folder of its own: %w", f.config.Dir, err)
	}
	f.lock = lock
	// Only now, because another process may have made it a store meanwhile.
	id, err := f.peek()
	if err != nil {
		return err
	}
	if id == nil {
		if id, err = fresh, f.createIdentity(fresh); err != nil {
			return err
		}
	}
	f.identity, f.incarnation = *id, id.Incarnation
	// A process that was killed may have left the store file's name to the kernel;
	// a folder with anything else in it and without that would be refused.
	if err := f.fs.SyncDir("."); err != nil {
		return err
	}
	if err := errors.Join(f.fs.MkdirAll(camerasDir), f.fs.MkdirAll(incomingDir), f.fs.MkdirAll(indexDir), f.fs.SyncDir(".")); err != nil {
		return err
	}
	if err := f.recover(ctx); err != nil {
		return err
	}
	free, err := f.fs.FreeBytes()
	if err != nil {
		return err
	}
	if f.config.MinFreeBytes <= 0 {
		f.config.MinFreeBytes = min(1<<30, free/50)
	}
	f.health.setFree(free)
	return nil
}

// claim refuses a folder that is in use for something else: a volume that is
// not mounted, a typing error.
func (f *folder) claim() error {
	entries, err := f.fs.ReadDir(".")
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(entries, func(e iofs.DirEntry) bool {
		return e.Name() == lockFile || e.Name() == storeFile+".tmp" || e.Name() == "lost+found"
	})
	for _, e := range others {
		if e.Name() == storeFile {
			return nil
		}
	}
	if len(others) > 0 {
		return understudy.Errorf(understudy.CodeConflict,
			"the folder %s is neither empty nor a store of recordings: it has %q and no %s; give the server a folder of its own", f.config.Dir, others[0].Name(), storeFile)
	}
	return nil
}

// createIdentity gives a new folder its store file.
func (f *folder) createIdentity(id *storeIdentity) error {
	if id == nil {
		return understudy.Errorf(understudy.CodeConflict, "the store in the recordings' folder %s went away while it was opened; look whether its disk is mounted", f.config.Dir)
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	id.Incarnation = hex.EncodeToString(random[:])
	f.identity = *id
	return f.saveIdentity()
}

func (f *folder) saveIdentity() error {
	content, err := json.Marshal(f.identity)
	if err != nil {
		return err
	}
	return f.replaceFile(".", storeFile, append(content, '\n'))
}

// setSiblings remembers the other folders of the store.
func (f *folder) setSiblings(siblings []sibling) error {
	f.identityMu.Lock()
	defer f.identityMu.Unlock()
	siblings = slices.DeleteFunc(slices.Clone(siblings), func(s sibling) bool { return s.Incarnation == f.incarnation })
	if slices.Equal(siblings, f.identity.Siblings) {
		return nil
	}
	f.identity.Siblings = siblings
	return f.saveIdentity()
}

// nextSequence returns a number that no segment of this store ever had.
func (f *folder) nextSequence() (uint64, error) {
	f.identityMu.Lock()
	defer f.identityMu.Unlock()
	n := f.store.nextSequence(f.identity.Ordinal)
	if n > f.identity.Sequence {
		was := f.identity.Sequence
		f.identity.Sequence = n + sequenceBlock
		if err := f.health.do("a write of "+storeFile, f.saveIdentity); err != nil {
			f.identity.Sequence = was
			return 0, err
		}
	}
	return n, nil
}

// makeDir creates a folder in parent, durably, once in the life of the process.
func (f *folder) makeDir(name, parent string) error {
	f.madeMu.Lock()
	made := f.made[name]
	f.madeMu.Unlock()
	if made {
		return nil
	}
	if err := errors.Join(f.fs.MkdirAll(name), f.fs.SyncDir(parent)); err != nil {
		return err
	}
	f.madeMu.Lock()
	defer f.madeMu.Unlock()
	f.made[name] = true
	return nil
}

func (f *folder) makeCameraDir(camera understudy.CameraID) error {
	return f.makeDir(cameraDir(camera), camerasDir)
}

// makeReady makes the folders of cameras that have none, with one sync for all:
// many cameras that begin in one moment would else wait for one another's.
func (f *folder) makeReady(cameras []understudy.CameraID) error {
	f.madeMu.Lock()
	missing := slices.DeleteFunc(slices.Clone(cameras), func(c understudy.CameraID) bool { return f.made[cameraDir(c)] && f.made[cameraIndexDir(c)] })
	f.madeMu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	for _, c := range missing {
		if err := errors.Join(f.fs.MkdirAll(cameraDir(c)), f.fs.MkdirAll(cameraIndexDir(c))); err != nil {
			return err
		}
	}
	if err := errors.Join(f.fs.SyncDir(camerasDir), f.fs.SyncDir(indexDir)); err != nil {
		return err
	}
	f.madeMu.Lock()
	defer f.madeMu.Unlock()
	for _, c := range missing {
		f.made[cameraDir(c)], f.made[cameraIndexDir(c)] = true, true
	}
	return nil
}

// explain makes a sentence of an error of the disk.
func (f *folder) explain(err error) error {
	if _, ok := errors.AsType[*understudy.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the recordings' folder %s cannot be used: %w", f.config.Dir, err)
}

// readFile returns a whole small file.
func (f *folder) readFile(name string) ([]byte, error) {
	file, err := f.fs.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// replaceFile puts a file in place, whole or not at all.
func (f *folder) replaceFile(dir, name string, content []byte) error {
	temporary := name + ".tmp"
	file, err := f.fs.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.fs.Rename(temporary, name); err != nil {
		return err
	}
	return f.fs.SyncDir(dir)
}
