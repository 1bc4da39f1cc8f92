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
	Damaged  int      `json:"damaged" doc:"Segments with damage that is known: the index and the timeline have it as a gap"`
	Faults   []string `json:"faults" doc:"One sentence each, with what to do; empty when all is whole"`
	Repaired []string `json:"repaired,omitempty" doc:"What Repair did"`
	Left     []string `json:"left,omitempty" doc:"Faults that Repair left"`
}

// Check reads every byte of a folder of a store and verifies what
// design/storage.md promises: each file is the segment it is named for, its
// fragments follow each other with the right checksums, capture times increase,
// nothing is there twice in an epoch of a holder, and the index has every
// segment and says of it what is true. It changes nothing and may run beside the
// server that holds the store: a segment that is open counts up to its last whole
// fragment. progress, unless it is nil, is told how many bytes of how many were read.
func Check(ctx context.Context, dir string, progress func(done, total int64)) (Checked, error) {
	return checkFS(ctx, fs.System(dir), dir, progress)
}

func checkFS(ctx context.Context, files fs.FS, dir string, progress func(done, total int64)) (Checked, error) {
	c, err := newChecker(files, dir, progress)
	if err != nil {
		return Checked{}, err
	}
	err = c.run(ctx)
	return c.checked, err
}

// newChecker looks at a folder without taking it.
func newChecker(files fs.FS, dir string, progress func(done, total int64)) (*checker, error) {
	s := newStore(Config{Log: slog.New(slog.DiscardHandler)})
	f := s.newFolder(FolderConfig{Dir: dir, FS: files})
	id, err := f.peek()
	if err != nil {
		return nil, err
	}
	if id == nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the folder %s is no store of recordings: it has no %s; name the folder that has one", dir, storeFile)
	}
	f.identity, s.server, s.folders = *id, id.Server, []*folder{f}
	return &checker{folder: f, progress: progress, plans: map[understudy.CameraID]*plan{}}, nil
}

// checker is one pass over a folder.
type checker struct {
	folder      *folder
	progress    func(done, total int64)
	files       []checkedFile
	done, total int64
	checked     Checked
	plans       map[understudy.CameraID]*plan
}

// plan is what mends the faults of a camera.
type plan struct {
	aside   []string                       // paths of files that are to be moved out of the way
	tails   map[understudy.SegmentID]int64 // from where on bytes are to be moved out of the way
	reindex bool
	rows    map[understudy.SegmentID]*entry // what the index had
}

type checkedFile struct {
	id   understudy.SegmentID
	size int64
	open bool   // it may be
	said *entry // by the index; nil if it says nothing
	// Of what was found in it.
	start, end time.Time
	bad        bool
}

func (c *checker) plan(camera understudy.CameraID) *plan {
	if c.plans[camera] == nil {
		c.plans[camera] = &plan{tails: map[understudy.SegmentID]int64{}}
	}
	return c.plans[camera]
}

func (c *checker) run(ctx context.Context) error {
	if err := c.survey(); err != nil {
		return c.folder.explain(err)
	}
	for i := range c.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.check(&c.files[i])
		c.done += c.files[i].size
		if c.progress != nil {
			c.progress(c.done, c.total)
		}
	}
	return c.overlaps()
}

// repairs is what every sentence about something that can be mended ends with.
const repairs = "stop the server and run understudy check --repair"

func (c *checker) fault(format string, args ...any) {
	c.checked.Faults = append(c.checked.Faults, fmt.Sprintf(format, args...))
}

// check reads one file to its end.
func (c *checker) check(f *checkedFile) {
	f.bad = true
	file, err := c.folder.fs.OpenFile(segmentPath(f.id), os.O_RDONLY)
	if isNotExist(err) {
		return // retention or merge-back took it meanwhile
	}
	if err != nil {
		c.fault("segment %s cannot be opened: %v; look after the disk", f.id, err)
		return
	}
	defer file.Close()
	header, _, marks, whole, err := fmp4.Survey(file)
	p := c.plan(f.id.Camera)
	switch {
	case understudy.CodeOf(err) == understudy.CodeInvalid && f.open:
		return // its first bytes are on their way
	case understudy.CodeOf(err) == understudy.CodeInvalid:
		c.fault("the file of segment %s is no segment, or its header is damaged: %v; %s, which moves it to %s", f.id, err, repairs, asideDir)
		p.aside, p.reindex = append(p.aside, segmentPath(f.id)), true
		return
	case err != nil:
		c.fault("segment %s cannot be read: %v; look after the disk", f.id, err)
		return
	case header.Segment != f.id:
		c.fault("the file of segment %s says that it is %s: it is foreign here; %s, which moves it to %s", f.id, header.Segment, repairs, asideDir)
		p.aside, p.reindex = append(p.aside, segmentPath(f.id)), true
		return
	}
	f.bad = false
	c.checked.Segments++
	c.checked.Bytes += sizeOf(whole)
	c.checked.Samples += len(marks)
	if len(marks) > 0 {
		f.start, f.end = marks[0].At, marks[len(marks)-1].At.Add(marks[len(marks)-1].Duration)
	}
	c.inOrder(f.id, marks)
	if !f.open || len(whole) > 1 {
		c.compare(f, marks, whole)
	}
}

// inOrder verifies that capture times increase.
func (c *checker) inOrder(id understudy.SegmentID, marks []understudy.SampleMark) {
	for i := 1; i < len(marks); i++ {
		if !marks[i].At.After(marks[i-1].At) {
			c.fault("segment %s goes back in time at %s: it can be played, but not searched; tell the makers of this program", id, clock(marks[i].At))
			return
		}
	}
}

// compare compares what is in a file with what the index says of it.
func (c *checker) compare(f *checkedFile, marks []understudy.SampleMark, whole []fmp4.Extent) {
	e, size := f.said, sizeOf(whole)
	p := c.plan(f.id.Camera)
	switch {
	case len(marks) == 0:
		c.fault("segment %s has no whole fragment: all its %d bytes are damaged; %s, which moves it to %s", f.id, f.size, repairs, asideDir)
		p.aside = append(p.aside, segmentPath(f.id))
	case e == nil && f.open && len(whole) > 1:
		c.fault("segment %s is damaged, and not closed in the index: %s; %d bytes of %d are whole; if no server writes it, run understudy check --repair, which notes the gap and shows the rest, before one starts, which cuts it there",
			f.id, broken(whole, f.size, true), size, f.size)
	case e == nil && size < f.size && !f.open:
		c.fault("segment %s is damaged, and not in the index: %s; %d bytes of %d are whole; %s, or start the server: both show the rest",
			f.id, broken(whole, f.size, false), size, f.size, repairs)
	case e == nil && p.rows == nil:
		// told once for the camera
	case e == nil:
		c.fault("segment %s is not in the index and is not shown; %s, or start the server, which reads it again", f.id, repairs)
	case e.rest && e.Size == size:
		c.checked.Damaged++
		return
	case f.size < e.Size:
		c.fault("segment %s was truncated: %d bytes of %d, which were durable, are there; %s, which notes the gap", f.id, f.size, e.Size, repairs)
	case size < e.Size:
		c.fault("segment %s is damaged: %d bytes of %d, which were durable, are whole; %s, which notes the gap and shows the rest", f.id, size, e.Size, repairs)
	case f.size > e.Size && len(whole) == 1:
		c.fault("segment %s has %d bytes behind its end, which were never durable; %s, which moves them to %s", f.id, f.size-e.Size, repairs, asideDir)
		p.tails[f.id] = e.Size
	case size != e.Size || e.rest:
		c.fault("segment %s has %d whole bytes, and the index says %d; %s", f.id, size, e.Size, repairs)
	case !e.Start.Equal(f.start) || !e.End.Equal(f.end) || e.last.Hash != marks[len(marks)-1].Hash:
		c.fault("segment %s is from %s to %s, and the index says from %s to %s; %s", f.id, clock(f.start), clock(f.end), clock(e.Start), clock(e.End), repairs)
	case !c.keptRight(e):
		c.fault("what is kept of segment %s to find its pictures is not what its file has; %s", f.id, repairs)
	default:
		return
	}
	p.reindex = true
}

// broken says where a file is damaged. What is behind the last whole fragment of
// one that is open may be on its way.
func broken(whole []fmp4.Extent, size int64, open bool) string {
	const most = 5
	var places []string
	for i, e := range whole {
		from, to := e.Offset+e.Size, size
		if i+1 < len(whole) {
			to = whole[i+1].Offset
		} else if open {
			break
		}
		if from < to {
			places = append(places, fmt.Sprintf("bytes %d to %d", from, to))
		}
	}
	if n := len(places); n > most {
		places = append(places[:most], fmt.Sprintf("%d more places", n-most))
	}
	return strings.Join(places, ", ")
}

// overlaps looks for pictures that an epoch of a holder has twice.
func (c *checker) overlaps() error {
	last := map[string]*checkedFile{}
	slices.SortStableFunc(c.files, func(a, b checkedFile) int { return a.start.Compare(b.start) })
	for i := range c.files {
		f := &c.files[i]
		if f.bad || f.start.IsZero() {
			continue
		}
		key := fmt.Sprintf("%s/%d/%s", f.id.Camera, f.id.Epoch, f.id.Holder)
		before := last[key]
		if before == nil || f.end.After(before.end) {
			last[key] = f
		}
		if before == nil || !f.start.Before(before.end) {
			continue
		}
		at, err := c.twice(before.id, f.id)
		if err != nil {
			return c.folder.explain(err)
		}
		if at >= 0 {
			c.fault("segments %s and %s have the same pictures: the first was written on after a failure; %s, which moves what is there twice to %s", before.id, f.id, repairs, asideDir)
			p := c.plan(f.id.Camera)
			p.tails[before.id], p.reindex = at, true
		}
	}
	return nil
}

// twice returns where, in the file of a, the first fragment with a picture of b
// begins; -1 if there is none.
func (c *checker) twice(a, b understudy.SegmentID) (int64, error) {
	have := map[understudy.SampleHash]bool{}
	at := int64(-1)
	err := c.fragments(b, func(f fmp4.Fragment) {
		for _, s := range f.Samples {
			have[s.Hash] = have[s.Hash] || s.Track == understudy.VideoTrack
		}
	})
	if err == nil {
		err = c.fragments(a, func(f fmp4.Fragment) {
			for _, s := range f.Samples {
				if at < 0 && s.Track == understudy.VideoTrack && have[s.Hash] {
					at = f.Offset
				}
			}
		})
	}
	return at, err
}

func (c *checker) fragments(id understudy.SegmentID, found func(fmp4.Fragment)) error {
	file, err := c.folder.openFile(id)
	if understudy.CodeOf(err) == understudy.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	r := fmp4.NewReader(file)
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		found(f)
	}
}

// isAside reports whether a file was set aside at an earlier start.
func isAside(name string) bool { return strings.HasSuffix(name, ".damaged") }
