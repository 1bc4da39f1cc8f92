// Package storage is the media database: segment writers, the index, recovery,
// retention, and footage that comes from elsewhere or goes there.
// design/storage.md says how it stays whole.
package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"understudy"
	"understudy/internal/fs"
)

// Config says where and how much to store.
type Config struct {
	// Folders, one a disk; cameras are spread over them. At least one.
	Folders       []FolderConfig
	Server        understudy.ServerID
	SyncEvery     time.Duration // 0 is 1 s
	SegmentLength time.Duration // 0 is 1 min
	Log           *slog.Logger  // nil discards
	// Events is told what was repaired, lost or deleted; nil tells nobody. It must not wait.
	Events func(understudy.Report)
	// GiveUpUnmerged lets a full disk delete footage that has not gone home, of
	// cameras of low priority first. Without it, recording stops instead.
	GiveUpUnmerged bool
	// Archive is where old footage goes; nil is nowhere.
	Archive Archive
}

// FolderConfig is a folder of the store, on a disk of its own.
type FolderConfig struct {
	Dir string
	// MaxBytes of segments; 0 is no bound but MinFreeBytes.
	MaxBytes int64
	// MinFreeBytes are left on the volume; 0 is 1 GiB, or a fiftieth of what is
	// free at the start where that is less.
	MinFreeBytes int64
	FS           fs.FS // nil is the system's folder Dir
}

// Store is an open media database: all folders together.
type Store struct {
	config  Config
	log     *slog.Logger
	folders []*folder                // open ones, in the order of the configuration
	missing []understudy.FolderState // those that could not be opened
	server  understudy.ServerID

	marks marksCache // of closed segments
	mover *mover     // nil without an archive

	goneMu  sync.Mutex // guards what follows
	gone    map[goneKey]*gone
	retired retired

	mu         sync.Mutex // guards what follows, never over an operation of a disk
	next       uint64     // the highest number known
	born       uint64     // next when the store was opened; until then no number is higher
	cameras    map[understudy.CameraID]*cameraDays
	loaded     int    // days that are in memory
	uses       uint64 // of days
	removing   map[understudy.SegmentID]bool
	doubted    map[understudy.SegmentID]bool // segments in which damage was met
	watermarks map[understudy.CameraID]watermark
	newest     map[understudy.CameraID]*Writer   // of the writers
	ahead      map[understudy.CameraID]watermark // of writers that are behind others
	places     map[understudy.CameraID]*folder   // where a camera's newest own segment lies
	writers    map[*Writer]struct{}
	imports    map[understudy.SegmentID]*Import
	keep       func(understudy.CameraID) time.Duration
	home       func(understudy.CameraID) understudy.ServerID
	archived   struct {
		segments int
		bytes    int64
	}
	limits   func(understudy.CameraID) Limits
	protect  func(understudy.CameraID) []Protected
	writerID uint64
}

var _ understudy.RecordingService = (*Store)(nil)

// Open creates or opens the store of a server, repairs what a crash left, and
// rebuilds what its index lacks. A folder that cannot be used is reported and
// left out, unless none is left. One that belongs to another server, that
// another process holds, that is no store and not empty, or in which a disk is
// not mounted, is CodeConflict.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := understudy.ValidateID("server", c.Server); err != nil {
		return nil, err
	}
	if len(c.Folders) == 0 {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a store needs at least one folder; name one in the configuration")
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
	s := newStore(c)
	if c.Archive != nil {
		s.mover = newMover(s, c.Archive)
	}
	if err := s.openFolders(ctx); err != nil {
		return nil, err
	}
	s.born = s.next
	return s, nil
}

// newStore returns a store without folders.
func newStore(c Config) *Store {
	return &Store{
		config: c, log: c.Log, server: c.Server, born: math.MaxUint64,
		cameras:    map[understudy.CameraID]*cameraDays{},
		removing:   map[understudy.SegmentID]bool{},
		doubted:    map[understudy.SegmentID]bool{},
		watermarks: map[understudy.CameraID]watermark{}, newest: map[understudy.CameraID]*Writer{}, ahead: map[understudy.CameraID]watermark{},
		places:  map[understudy.CameraID]*folder{},
		writers: map[*Writer]struct{}{},
		imports: map[understudy.SegmentID]*Import{},
	}
}

// nextSequence returns a number of a folder's own, higher than all known ones.
func (s *Store) nextSequence(ordinal uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next - s.next%maxFolders + ordinal
	if n <= s.next {
		n += maxFolders
	}
	s.next = n
	return n
}

// Close gives the folders free. Run must have returned and writers must have been closed.
func (s *Store) Close() error {
	for _, f := range s.folders {
		f.saveNotes()
	}
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
	var errs []error
	for _, f := range s.folders {
		errs = append(errs, f.lock.Close())
	}
	return errors.Join(errs...)
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

// State returns the condition of the store, for the state port. It never waits
// for a disk.
func (s *Store) State() understudy.StorageState {
	state := understudy.StorageState{Incarnation: s.incarnation()}
	s.mu.Lock()
	for camera, c := range s.cameras {
		if s.isForeign(camera) {
			state.UnmergedSegments += c.count
			state.UnmergedBytes += c.bytes
		}
	}
	for _, f := range s.folders {
		state.Folders = append(state.Folders, understudy.FolderState{Dir: f.config.Dir, UsedBytes: f.used})
	}
	s.mu.Unlock()
	for i, f := range s.folders {
		folder := &state.Folders[i]
		folder.Sentence, folder.FreeBytes = f.health.sentence()
		folder.Writable = folder.Sentence == ""
	}
	state.Folders = append(state.Folders, s.missing...)
	var sick []string
	for _, f := range state.Folders {
		state.Writable = state.Writable || f.Writable
		state.UsedBytes += f.UsedBytes
		state.FreeBytes += f.FreeBytes
		if f.Sentence != "" && len(state.Folders) > 1 {
			sick = append(sick, f.Dir+": "+f.Sentence)
		} else if f.Sentence != "" {
			sick = append(sick, f.Sentence)
		}
	}
	state.Sentence = strings.Join(sick, "; ")
	if s.mover != nil {
		state.Archive = s.mover.state()
	}
	return state
}

// incarnation names the set of folders that are here: what was promised about
// footage in a folder that is away holds no longer.
func (s *Store) incarnation() string {
	var all []string
	for _, f := range s.folders {
		all = append(all, f.incarnation)
	}
	if len(all) == 1 {
		return all[0]
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return hex.EncodeToString(sum[:16])
}

// isForeign reports whether a camera is known to belong to another server; mu is held.
func (s *Store) isForeign(camera understudy.CameraID) bool {
	if s.home == nil {
		return false
	}
	home := s.home(camera)
	return home != "" && home != s.server
}

// Prepare makes ready for cameras that may have to be recorded in one moment,
// all of them: a takeover waits for no folder. It waits for the disk. The error
// is of the first folder of the store that could not be made ready; nothing is
// lost by it.
func (s *Store) Prepare(cameras []understudy.CameraID) error {
	for _, f := range s.folders {
		if err := f.health.do("the creation of folders", func() error { return f.makeReady(cameras) }); err != nil {
			return f.explain(err)
		}
	}
	return nil
}

// Cameras returns those of which there is footage, by id.
func (s *Store) Cameras() []understudy.CameraID {
	s.mu.Lock()
	defer s.mu.Unlock()
	cameras := slices.Collect(maps.Keys(s.cameras))
	cameras = slices.DeleteFunc(cameras, func(c understudy.CameraID) bool { return !s.cameras[c].any() })
	slices.Sort(cameras)
	return cameras
}

func (s *Store) report(camera understudy.CameraID, sentence string) {
	s.log.Info(sentence, "camera", camera)
	if s.config.Events != nil {
		s.config.Events(understudy.Report{Kind: understudy.EventStorage, Camera: camera, Sentence: sentence})
	}
}

func cameraDir(camera understudy.CameraID) string { return camerasDir + "/" + string(camera) }

func segmentPath(id understudy.SegmentID) string { return camerasDir + "/" + id.String() + ".mp4" }

func isNotExist(err error) bool { return errors.Is(err, os.ErrNotExist) }
