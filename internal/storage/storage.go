// Package storage is the media database: segment writers, the index, recovery,
// retention, and footage that comes from elsewhere or goes there.
// design/storage.md says how it stays whole.
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
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/fs"
)

// Config says where and how much to store.
type Config struct {
	Dir    string
	Server understudy.ServerID
	// MaxBytes of segments; 0 is no bound but MinFreeBytes.
	MaxBytes int64
	// MinFreeBytes are left on the volume; 0 is 1 GiB, or a fiftieth of what is
	// free at the start where that is less.
	MinFreeBytes  int64
	SyncEvery     time.Duration // 0 is 1 s
	SegmentLength time.Duration // 0 is 1 min
	Log           *slog.Logger  // nil discards
	// Events is told what was repaired, lost or deleted; nil tells nobody. It must not wait.
	Events func(understudy.Report)
	FS     fs.FS // nil is the system's folder Dir
}

// What lies in a store's folder.
const (
	storeFile   = "store.json"
	lockFile    = "lock"
	camerasDir  = "cameras"
	incomingDir = "incoming"
)

// format is the version of the folder's layout.
const format = 1

// Numbers are reserved on disk in blocks, so that a number is never used twice
// although the segments that had it are long gone.
const sequenceBlock = 1000

// syncsAtOnce bounds the threads that wait for the disk.
const syncsAtOnce = 8

// Store is an open media database.
type Store struct {
	config  Config
	fs      fs.FS
	log     *slog.Logger
	lock    io.Closer
	health  health
	slots   chan struct{} // of syncs
	queued  atomic.Int64  // bytes that all writers hold
	written atomic.Int64  // bytes since upkeep last looked

	identityMu sync.Mutex // guards identity and next, also over writes of the store file
	identity   storeIdentity
	next       uint64

	trimmed trimmed // of the goroutine of upkeep
	victims victims // of the goroutine of upkeep

	marks marksCache // of closed segments
	notes *notebook

	indexMu sync.Mutex                  // one writer of index files at a time
	gone    map[understudy.CameraID]int // segments since the index was written whole

	mu         sync.Mutex // guards what follows, never over an operation of the disk
	cameras    map[understudy.CameraID][]*entry
	watermarks map[understudy.CameraID]watermark
	writers    map[*Writer]struct{}
	imports    map[understudy.SegmentID]*Import
	folders    map[understudy.CameraID]bool // cameras whose folder is durable
	keep       func(understudy.CameraID) time.Duration
	home       func(understudy.CameraID) understudy.ServerID
	used       int64 // bytes of durable segments
	writerID   uint64
}

// storeIdentity is the content of the store file.
type storeIdentity struct {
	Format      int                 `json:"format"`
	Server      understudy.ServerID `json:"server"`
	Incarnation string              `json:"incarnation"`
	Sequence    uint64              `json:"sequence"` // lower ones may have been used
}

// watermark belongs to a writer; an older writer's sync does not set it back.
type watermark struct {
	writer uint64
	understudy.Watermark
}

var _ understudy.RecordingService = (*Store)(nil)

// Open creates or opens the store of a server, repairs what a crash left, and
// rebuilds what its index lacks. A folder that belongs to another server, that
// another process holds, or that is no store and not empty is CodeConflict.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := understudy.ValidateID("server", c.Server); err != nil {
		return nil, err
	}
	if c.FS == nil {
		c.FS = fs.System(c.Dir)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SyncEvery <= 0 {
		c.SyncEvery = time.Second
	}
	if c.SegmentLength <= 0 {
		c.SegmentLength = time.Minute
	}
	s := &Store{
		config: c, fs: c.FS, log: c.Log,
		slots:      make(chan struct{}, syncsAtOnce),
		cameras:    map[understudy.CameraID][]*entry{},
		watermarks: map[understudy.CameraID]watermark{},
		writers:    map[*Writer]struct{}{},
		imports:    map[understudy.SegmentID]*Import{},
		folders:    map[understudy.CameraID]bool{},
	}
	s.notes = &notebook{fs: s.fs, do: s.health.do, makeDir: s.makeCameraDir, replace: s.replaceFile,
		wrote: func(n int) { s.written.Add(int64(n)) }, cameras: map[understudy.CameraID]*cameraNotes{}}
	if err := s.open(ctx); err != nil {
		if s.lock != nil {
			s.lock.Close()
		}
		return nil, s.explain(err)
	}
	return s, nil
}

// explain makes a sentence of an error of the disk.
func (s *Store) explain(err error) error {
	if _, ok := errors.AsType[*understudy.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the recordings' folder %s cannot be used: %w", s.config.Dir, err)
}

func (s *Store) open(ctx context.Context) error {
	if err := s.fs.MkdirAll("."); err != nil {
		return err
	}
	if _, err := s.claim(); err != nil { // before a lock file litters a folder that is not ours
		return err
	}
	lock, err := s.fs.Lock(lockFile)
	if err != nil {
		return understudy.Errorf(understudy.CodeConflict,
			"the recordings' folder %s is held by another process; stop that one, or give this server a folder of its own: %w", s.config.Dir, err)
	}
	s.lock = lock
	// Again, because another process may have made it a store meanwhile.
	fresh, err := s.claim()
	if err != nil {
		return err
	}
	if err := s.identify(fresh); err != nil {
		return err
	}
	if err := errors.Join(s.fs.MkdirAll(camerasDir), s.fs.MkdirAll(incomingDir), s.fs.SyncDir(".")); err != nil {
		return err
	}
	if err := s.recover(ctx); err != nil {
		return err
	}
	free, err := s.fs.FreeBytes()
	if err != nil {
		return err
	}
	if s.config.MinFreeBytes <= 0 {
		s.config.MinFreeBytes = min(1<<30, free/50)
	}
	s.health.setFree(free)
	return nil
}

// claim reports whether the folder is new, and refuses one that is in use for
// something else: a volume that is not mounted, a typing error.
func (s *Store) claim() (fresh bool, err error) {
	entries, err := s.fs.ReadDir(".")
	if err != nil {
		return false, err
	}
	others := slices.DeleteFunc(entries, func(e iofs.DirEntry) bool {
		return e.Name() == lockFile || e.Name() == storeFile+".tmp" || e.Name() == "lost+found"
	})
	for _, e := range others {
		if e.Name() == storeFile {
			return false, nil
		}
	}
	if len(others) > 0 {
		return false, understudy.Errorf(understudy.CodeConflict,
			"the folder %s is neither empty nor a store of recordings: it has %q and no %s; give the server a folder of its own", s.config.Dir, others[0].Name(), storeFile)
	}
	return true, nil
}

// identify makes or reads the store file.
func (s *Store) identify(fresh bool) error {
	if fresh {
		var id [16]byte
		if _, err := rand.Read(id[:]); err != nil {
			return err
		}
		s.identity = storeIdentity{Format: format, Server: s.config.Server, Incarnation: hex.EncodeToString(id[:])}
		return s.saveIdentity()
	}
	content, err := s.readFile(storeFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, &s.identity); err != nil || s.identity.Incarnation == "" {
		return understudy.Errorf(understudy.CodeConflict,
			"%s in the recordings' folder %s is damaged; restore it from a backup, or move the folder away and begin with an empty one", storeFile, s.config.Dir)
	}
	if s.identity.Format != format {
		return understudy.Errorf(understudy.CodeConflict,
			"the recordings' folder %s has format %d, and this program knows format %d: use the program that wrote it, or a newer one", s.config.Dir, s.identity.Format, format)
	}
	if s.identity.Server != s.config.Server {
		return understudy.Errorf(understudy.CodeConflict,
			"the recordings' folder %s belongs to server %s, and this is server %s; give it a folder of its own", s.config.Dir, s.identity.Server, s.config.Server)
	}
	s.next = s.identity.Sequence
	return nil
}

func (s *Store) saveIdentity() error {
	content, err := json.Marshal(s.identity)
	if err != nil {
		return err
	}
	return s.replaceFile(".", storeFile, append(content, '\n'))
}

// nextSequence returns a number that no segment of this store ever had.
func (s *Store) nextSequence() (uint64, error) {
	s.identityMu.Lock()
	defer s.identityMu.Unlock()
	if s.next >= s.identity.Sequence {
		was := s.identity.Sequence
		s.identity.Sequence = s.next + sequenceBlock
		err := s.health.do("a write of "+storeFile, s.saveIdentity)
		if err != nil {
			s.identity.Sequence = was
			return 0, err
		}
	}
	s.next++
	return s.next, nil
}

// Close gives the folder free. Run must have returned and writers must have been closed.
func (s *Store) Close() error {
	s.saveNotes()
	s.mu.Lock()
	writers, imports := len(s.writers), s.imports
	s.imports = map[understudy.SegmentID]*Import{}
	s.mu.Unlock()
	for _, i := range imports {
		i.abandon()
	}
	if writers > 0 {
		s.log.Error("the store is closed under writers: what they hold is lost", "writers", writers)
	}
	return s.lock.Close()
}

// SetKeep says how old the recordings of a camera may get; 0 keeps them while
// there is room. keep must not call the store.
func (s *Store) SetKeep(keep func(understudy.CameraID) time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = keep
}

// SetHome says where cameras belong; "" is nowhere else. Until it is called,
// retention deletes nothing, because nobody knows what has yet to go home. home
// must not call the store.
func (s *Store) SetHome(home func(understudy.CameraID) understudy.ServerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.home = home
}

// State returns the condition of the store, for the state port. It never waits for the disk.
func (s *Store) State() understudy.StorageState {
	sentence, free := s.health.sentence()
	state := understudy.StorageState{Writable: sentence == "", Sentence: sentence, Incarnation: s.identity.Incarnation, FreeBytes: free}
	s.mu.Lock()
	defer s.mu.Unlock()
	state.UsedBytes = s.used
	for camera, list := range s.cameras {
		if !s.isForeign(camera) {
			continue
		}
		for _, e := range list {
			if e.Closed {
				state.UnmergedSegments++
				state.UnmergedBytes += e.Size
			}
		}
	}
	return state
}

// isForeign reports whether a camera is known to belong to another server; mu is held.
func (s *Store) isForeign(camera understudy.CameraID) bool {
	if s.home == nil {
		return false
	}
	home := s.home(camera)
	return home != "" && home != s.config.Server
}

// Watermark returns the last durable video sample of a camera that this server recorded.
func (s *Store) Watermark(camera understudy.CameraID) understudy.Watermark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watermarks[camera].Watermark
}

func (s *Store) report(camera understudy.CameraID, sentence string) {
	s.log.Info(sentence, "camera", camera)
	if s.config.Events != nil {
		s.config.Events(understudy.Report{Kind: understudy.EventStorage, Camera: camera, Sentence: sentence})
	}
}

func indexPath(camera understudy.CameraID) string { return cameraDir(camera) + "/index" }

func cameraDir(camera understudy.CameraID) string { return camerasDir + "/" + string(camera) }

func segmentPath(id understudy.SegmentID) string { return camerasDir + "/" + id.String() + ".mp4" }

func isNotExist(err error) bool { return errors.Is(err, os.ErrNotExist) }
