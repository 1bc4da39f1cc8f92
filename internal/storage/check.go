package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fs"
)

// Checked is what Check found.
type Checked struct {
	Segments int      `json:"segments"`
	Bytes    int64    `json:"bytes" doc:"In whole fragments with the right checksum"`
	Samples  int      `json:"samples" doc:"Of video"`
	Faults   []string `json:"faults" doc:"One sentence each; empty when all is whole"`
}

// Check reads every byte of a store and verifies what design/storage.md
// promises: each file is the segment it is named for, its fragments follow each
// other with the right checksums, capture times increase, and the index says of
// it what is true. It changes nothing and may run beside the server that holds
// the store: the last two segments of a camera that this server recorded may be
// open, and count up to their last whole fragment. progress, unless it is nil,
// is told how many bytes of how many were read.
func Check(ctx context.Context, dir string, progress func(done, total int64)) (Checked, error) {
	return checkFS(ctx, fs.System(dir), dir, progress)
}

func checkFS(ctx context.Context, files fs.FS, dir string, progress func(done, total int64)) (Checked, error) {
	f := (&Store{log: slog.New(slog.DiscardHandler)}).newFolder(FolderConfig{Dir: dir, FS: files})
	id, err := f.peek()
	if err != nil {
		return Checked{}, err
	}
	if id == nil {
		return Checked{}, understudy.Errorf(understudy.CodeInvalid, "the folder %s is no store of recordings: it has no %s; name the folder that has one", dir, storeFile)
	}
	f.identity = *id
	c := checker{folder: f, progress: progress}
	if err := c.survey(); err != nil {
		return Checked{}, f.explain(err)
	}
	for _, f := range c.files {
		if err := ctx.Err(); err != nil {
			return c.checked, err
		}
		c.check(f)
		c.done += f.size
		if progress != nil {
			progress(c.done, c.total)
		}
	}
	return c.checked, nil
}

// checker is one pass over a store.
type checker struct {
	folder      *folder
	progress    func(done, total int64)
	files       []checkedFile
	done, total int64
	checked     Checked
}

type checkedFile struct {
	id   understudy.SegmentID
	size int64
	open bool   // it may be
	said *entry // by the index; nil if it says nothing
}

// survey lists what is to be read.
func (c *checker) survey() error {
	cameras, err := c.folder.cameraNames()
	if err != nil {
		return err
	}
	for _, camera := range cameras {
		if err := errors.Join(c.surveyCamera(camera), c.setAside(camera), c.checkNotes(camera)); err != nil {
			return err
		}
	}
	slices.SortFunc(c.files, func(a, b checkedFile) int { return strings.Compare(a.id.String(), b.id.String()) })
	return nil
}

func (c *checker) surveyCamera(camera understudy.CameraID) error {
	files, err := c.folder.segmentNames(camera)
	if err != nil {
		return err
	}
	// The index after the folder: what is begun meanwhile is in it, and what is deleted in neither.
	rows, open, err := c.index(camera)
	if err != nil {
		return err
	}
	for _, id := range files.marks {
		if c.folder.isFile(id) {
			continue // moved to the archive, but for its file
		}
		if _, _, err := c.folder.readMarksFile(id); err != nil {
			c.fault("%v", err)
		}
		delete(rows, id) // its bytes are in the archive
	}
	for id := range rows {
		if !c.folder.isFile(id) {
			c.fault("segment %s is in the index, and its file is gone", id)
		}
	}
	for _, id := range files.segments {
		info, err := c.folder.fs.Stat(segmentPath(id))
		if isNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		c.files = append(c.files, checkedFile{id, info.Size(), open[id.Sequence] && id.Holder == c.folder.identity.Server, rows[id]})
		c.total += info.Size()
	}
	return nil
}

// index reads the index files of a camera: its closed segments, and the numbers of those that are open.
func (c *checker) index(camera understudy.CameraID) (rows map[understudy.SegmentID]*entry, open map[uint64]bool, err error) {
	files, err := c.folder.fs.ReadDir(cameraIndexDir(camera))
	if err != nil && !isNotExist(err) {
		return nil, nil, err
	}
	rows, open = map[understudy.SegmentID]*entry{}, map[uint64]bool{}
	for _, file := range files {
		date, holder, ok := parseDayName(file.Name())
		if !ok {
			continue
		}
		d := &day{dayKey: dayKey{c.folder, date, holder}, camera: camera}
		fresh, damaged, err := d.read()
		if err != nil {
			return nil, nil, err
		}
		if damaged {
			c.fault("the index file %s is damaged", d.path())
		}
		for _, e := range fresh.entries {
			rows[e.ID] = e
		}
		for sequence := range fresh.open {
			open[sequence] = true
		}
	}
	return rows, open, nil
}

// setAside counts as faults what an earlier start could not read.
func (c *checker) setAside(camera understudy.CameraID) error {
	files, err := c.folder.fs.ReadDir(cameraDir(camera))
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".damaged") {
			c.fault("%s/%s was set aside at an earlier start, because it could not be read", camera, f.Name())
		}
	}
	if isNotExist(err) {
		return nil // a crash came before there was any
	}
	return err
}

func (c *checker) fault(format string, args ...any) {
	c.checked.Faults = append(c.checked.Faults, fmt.Sprintf(format, args...))
}

func (c *checker) check(f checkedFile) {
	file, err := c.folder.fs.OpenFile(segmentPath(f.id), os.O_RDONLY)
	if isNotExist(err) {
		return // retention or merge-back took it meanwhile
	}
	if err != nil {
		c.fault("segment %s cannot be opened: %v", f.id, err)
		return
	}
	defer file.Close()
	r := fmp4.NewReader(file)
	header, _, err := r.Header()
	if err != nil {
		if !f.open || understudy.CodeOf(err) != understudy.CodeInvalid {
			c.fault("segment %s cannot be read: %v", f.id, err)
		}
		return
	}
	if header.Segment != f.id {
		c.fault("the file of segment %s says that it is %s", f.id, header.Segment)
		return
	}
	last, err := c.samples(f.id, r)
	whole := r.Offset()
	c.checked.Segments++
	c.checked.Bytes += whole
	switch {
	case err != nil:
		c.fault("segment %s cannot be read behind byte %d: %v", f.id, whole, err)
	case f.said != nil && whole < f.said.Size:
		c.fault("segment %s is damaged behind byte %d of %d, which were durable", f.id, whole, f.said.Size)
	case f.said == nil && !f.open && whole < f.size:
		c.fault("segment %s is damaged behind byte %d of %d", f.id, whole, f.size)
	case f.said != nil && whole == f.said.Size && (f.said.last.Hash != last.Hash || !f.said.last.At.Equal(last.At)):
		c.fault("segment %s ends with a sample of %s, and the index says %s; stop the server, delete the index and start it", f.id, clock(last.At), clock(f.said.last.At))
	}
}

// samples reads a segment to its end and returns its last video sample.
func (c *checker) samples(id understudy.SegmentID, r *fmp4.Reader) (last understudy.Watermark, err error) {
	ends := map[int]time.Time{}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		for _, s := range f.Samples {
			if !s.At.After(ends[s.Track]) && !ends[s.Track].IsZero() {
				c.fault("segment %s goes back in time at %s in the fragment at byte %d", id, clock(s.At), f.Offset)
			}
			ends[s.Track] = s.At
			if s.Track == understudy.VideoTrack {
				c.checked.Samples++
				last = understudy.Watermark{At: s.At, Hash: s.Hash}
			}
		}
	}
}
