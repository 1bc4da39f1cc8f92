package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"understudy"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// TimelineOptions are what Timeline is asked for.
type TimelineOptions struct {
	Cameras   int
	Days      int
	Megabytes int // of footage from which an index is made anew
	Dir       string
	Say       func(string)
}

// TimelineResult is how fast footage is found, beside what reading the same
// files plainly takes in the same run.
type TimelineResult struct {
	Machine
	Cameras    int     `json:"cameras"`
	Days       int     `json:"days"`
	Segments   int     `json:"segments"`
	IndexBytes int64   `json:"index_bytes"`
	RSS        float64 `json:"rss_mib"` // with the index open, after all below

	Open      float64 `json:"open_s"` // nothing of the index in memory
	OpenAgain float64 `json:"open_again_s"`
	OpenFloor float64 `json:"open_floor_s"` // listing the index folders with the sizes of all files

	Day      spread `json:"day_ms"`       // spans and gaps of a camera's day, nothing of it in memory
	DayAgain spread `json:"day_again_ms"` // the same day
	DayFloor spread `json:"day_floor_ms"` // reading all files of that camera's index for the day and its neighbours

	Seek      spread `json:"seek_ms"`       // to a second: the segment, the key frame and the fragment's bytes
	SeekFloor spread `json:"seek_floor_ms"` // one read of as many bytes at that place
	FirstByte spread `json:"first_byte_ms"` // of an export of ten minutes over HTTP

	RebuildBytes int64   `json:"rebuild_bytes"`
	Rebuild      float64 `json:"rebuild_gb_per_s"`
	RebuildFloor float64 `json:"rebuild_floor_gb_per_s"` // reading the same files from end to end
}

// spread is how long something took each time, in milliseconds.
type spread struct {
	Median float64 `json:"median"`
	Most   float64 `json:"most"`
	Times  int     `json:"times"`
}

func spreadOf(times []time.Duration) spread {
	if len(times) == 0 {
		return spread{}
	}
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return round(d.Seconds() * 1000) }
	return spread{ms(times[len(times)/2]), ms(times[len(times)-1]), len(times)}
}

// LeastDays of a camera are so many segments that a start does not look for
// their files before it is done; here there are none.
const LeastDays = 14

// realMinutes of the first camera have their bytes, so that one can seek in them.
const realMinutes = 20

// samplesEach is how often each is measured.
const samplesEach = 50

// Timeline fills an index through the writer that always writes it, without the
// footage but for some minutes, and measures what a person waits for.
func Timeline(ctx context.Context, o TimelineOptions) (TimelineResult, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	dir, err := os.MkdirTemp(o.Dir, "understudy-bench-")
	if err != nil {
		return TimelineResult{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &timelineBench{TimelineOptions: o, dir: dir, random: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // not a secret
		result: TimelineResult{Machine: ThisMachine(), Cameras: o.Cameras, Days: o.Days}}
	b.to = time.Now().UTC().Truncate(24 * time.Hour)
	b.from = b.to.AddDate(0, 0, -o.Days)
	for _, step := range []func(context.Context) error{b.fill, b.open, b.days, b.seeks, b.exports, b.rebuild} {
		if err = step(ctx); err != nil {
			break
		}
	}
	if b.store != nil {
		err = errors.Join(err, b.store.Close())
	}
	return b.result, err
}

type timelineBench struct {
	TimelineOptions
	dir      string
	from, to time.Time // of the filled index; the real minutes follow
	random   *rand.Rand
	store    *storage.Store
	result   TimelineResult
}

func (b *timelineBench) config(dir string) storage.Config {
	return storage.Config{Folders: []storage.FolderConfig{{Dir: dir, MinFreeBytes: 1}}, Server: benchServer}
}

// fill makes the index, and the minutes that have their bytes.
func (b *timelineBench) fill(ctx context.Context) error {
	minutes := int(b.to.Sub(b.from) / time.Minute)
	b.Say(fmt.Sprintf("an index of %d cameras for %d days: %d segments", b.Cameras, b.Days, b.Cameras*minutes))
	store, err := storage.Open(ctx, b.config(b.dir))
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil { // the folder is one of a store now
		return err
	}
	if _, err := newFootage(b.dir, benchServer).write(benchCamera(0), 1, b.to, realMinutes); err != nil {
		return err
	}
	if store, err = storage.Open(ctx, b.config(b.dir)); err != nil { // finds the footage, which a small store does at once
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	for n := range b.Cameras {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := storage.FillIndex(b.dir, minuteByMinute(benchCamera(n), b.from, b.to, uint64(1000+n*minutes))); err != nil {
			return err
		}
	}
	b.result.Segments = b.Cameras*minutes + realMinutes
	return nil
}

// minuteByMinute returns the segments of a camera that recorded without a gap.
func minuteByMinute(camera understudy.CameraID, from, to time.Time, first uint64) (list []understudy.Segment) {
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		id := understudy.SegmentID{Camera: camera, Epoch: 1, Holder: benchServer, Sequence: first + uint64(len(list))}
		list = append(list, understudy.Segment{ID: id, Start: at, End: at.Add(time.Minute), Size: frames * frameBytes, Codec: understudy.CodecMJPEG})
	}
	return list
}

func (b *timelineBench) open(ctx context.Context) (err error) {
	b.Say("opening it")
	index, err := filesBelow(filepath.Join(b.dir, "index"))
	if err != nil {
		return err
	}
	for _, f := range index {
		b.result.IndexBytes += f.size
	}
	if err := forget(index); err != nil {
		return err
	}
	took := func() float64 {
		began := time.Now()
		b.store, err = storage.Open(ctx, b.config(b.dir))
		return round(time.Since(began).Seconds())
	}
	if b.result.Open = took(); err != nil {
		return err
	}
	if err := b.store.Close(); err != nil {
		return err
	}
	if b.result.OpenAgain = took(); err != nil {
		return err
	}
	began := time.Now()
	_, err = filesBelow(filepath.Join(b.dir, "index"))
	b.result.OpenFloor = round(time.Since(began).Seconds())
	return err
}

func (b *timelineBench) days(ctx context.Context) error {
	b.Say("a day's timeline")
	var first, again, floor []time.Duration
	for range samplesEach {
		camera := benchCamera(b.random.IntN(b.Cameras))
		day := b.from.AddDate(0, 0, b.random.IntN(b.Days))
		files, err := b.indexOf(camera, day)
		if err != nil {
			return err
		}
		if err := forget(files); err != nil {
			return err
		}
		for n, times := range []*[]time.Duration{&first, &again} {
			began := time.Now()
			count, err := b.day(ctx, camera, day)
			*times = append(*times, time.Since(began))
			if err != nil {
				return err
			}
			if want := 24 * 60; count < want {
				return understudy.Errorf(understudy.CodeInternal, "the day has %d segments, and was filled with %d (look %d)", count, want, n+1)
			}
		}
		if err := forget(files); err != nil {
			return err
		}
		began := time.Now()
		for _, f := range files {
			if _, err := os.ReadFile(f.name); err != nil {
				return err
			}
		}
		floor = append(floor, time.Since(began))
	}
	b.result.Day, b.result.DayAgain, b.result.DayFloor = spreadOf(first), spreadOf(again), spreadOf(floor)
	return nil
}

// day is what a server does for a client's timeline of a day.
func (b *timelineBench) day(ctx context.Context, camera understudy.CameraID, day time.Time) (int, error) {
	end := day.Add(24 * time.Hour)
	segments, err := b.store.Segments(ctx, camera, day, end, false)
	if err != nil {
		return 0, err
	}
	pieces := make([]understudy.Piece, len(segments))
	for i, s := range segments {
		pieces[i] = understudy.Piece{Segment: s.ID, From: s.Start, To: s.End}
	}
	slices.SortFunc(pieces, func(a, b understudy.Piece) int { return a.From.Compare(b.From) })
	if gaps := understudy.Gaps(pieces, day, end, time.Second); len(gaps) > 0 {
		return 0, understudy.Errorf(understudy.CodeInternal, "a day without a gap has %d, the first at %s", len(gaps), gaps[0].From)
	}
	return len(segments), nil
}

// indexOf returns the files of a camera's index that are about a day or its neighbours.
func (b *timelineBench) indexOf(camera understudy.CameraID, day time.Time) ([]file, error) {
	all, err := filesBelow(filepath.Join(b.dir, "index", string(camera)))
	return slices.DeleteFunc(all, func(f file) bool {
		for n := -1; n <= 1; n++ {
			if strings.HasPrefix(filepath.Base(f.name), day.AddDate(0, 0, n).Format(time.DateOnly)) {
				return false
			}
		}
		return true
	}), err
}

// rebuild opens a store of which the index is lost.
func (b *timelineBench) rebuild(ctx context.Context) error {
	b.Say(fmt.Sprintf("an index made anew from %d MB of footage", b.Megabytes))
	b.result.RSS = resident()
	dir := filepath.Join(b.dir, "rebuild")
	store, err := storage.Open(ctx, b.config(dir))
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	f := newFootage(dir, benchServer)
	for n := 0; b.result.RebuildBytes < int64(b.Megabytes)*1e6; n++ {
		bytes, err := f.write(benchCamera(n%4), 1<<20+uint64(n), b.from.Add(time.Duration(n)*time.Minute), 1)
		if err != nil {
			return err
		}
		b.result.RebuildBytes += bytes
	}
	media, err := filesBelow(filepath.Join(dir, "cameras"))
	if err != nil {
		return err
	}
	if err := forget(media); err != nil {
		return err
	}
	began := time.Now()
	if store, err = storage.Open(ctx, b.config(dir)); err != nil {
		return err
	}
	b.result.Rebuild = round(float64(b.result.RebuildBytes) / 1e9 / time.Since(began).Seconds())
	found := 0
	for _, camera := range store.Cameras() {
		list, err := store.Segments(ctx, camera, b.from, b.to, false)
		if err != nil {
			return err
		}
		found += len(list)
	}
	if err := store.Close(); err != nil {
		return err
	}
	if found != len(media) {
		return understudy.Errorf(understudy.CodeInternal, "of %d segments %d are in the index that was made anew", len(media), found)
	}
	return b.readAll(media)
}

func (b *timelineBench) readAll(media []file) error {
	if err := forget(media); err != nil {
		return err
	}
	began := time.Now()
	buffer := make([]byte, 1<<20)
	for _, m := range media {
		f, err := os.Open(m.name)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buffer)
		f.Close()
		if err != nil {
			return err
		}
	}
	b.result.RebuildFloor = round(float64(b.result.RebuildBytes) / 1e9 / time.Since(began).Seconds())
	return nil
}

// file is a file below a folder.
type file struct {
	name string
	size int64
}

func filesBelow(dir string) (files []file, err error) {
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files = append(files, file{name, info.Size()})
		}
		return err
	})
	return files, err
}

// forget takes files out of the system's memory, so that the next look reads the disk.
func forget(files []file) error {
	for _, one := range files {
		f, err := fs.System(filepath.Dir(one.name)).OpenFile(filepath.Base(one.name), os.O_RDONLY)
		if err != nil {
			return err
		}
		err = f.Sync() // what is not on the disk yet stays in memory
		fs.Uncache(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// resident is the memory of this process, in MiB, after what is not used was given back.
func resident() float64 {
	debug.FreeOSMemory()
	kilobytes, _, _ := strings.Cut(firstField("/proc/self/status", "VmRSS"), " ")
	n, err := strconv.ParseFloat(kilobytes, 64)
	if err != nil {
		return 0
	}
	return round(n / 1024)
}

// Print writes the result for people.
func (r TimelineResult) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	ms := func(s spread) string { return fmt.Sprintf("%.2f ms, at most %.2f", s.Median, s.Most) }
	fmt.Fprintf(t, "%s, %s\n", r.Machine.Machine, r.Date.Format("2006-01-02"))
	fmt.Fprintf(t, "%d cameras, %d days: %d segments\t%d MB of index, %.0f MiB in memory\n", r.Cameras, r.Days, r.Segments, r.IndexBytes/1e6, r.RSS)
	fmt.Fprintf(t, "open\t%.2f s, again %.2f s\tlisting its files: %.2f s\n", r.Open, r.OpenAgain, r.OpenFloor)
	fmt.Fprintf(t, "a day's timeline\t%s; again %s\treading its files: %s\n", ms(r.Day), ms(r.DayAgain), ms(r.DayFloor))
	fmt.Fprintf(t, "seek to a second\t%s\tone read: %s\n", ms(r.Seek), ms(r.SeekFloor))
	fmt.Fprintf(t, "first byte of an export\t%s\n", ms(r.FirstByte))
	fmt.Fprintf(t, "index made anew\t%.2f GB/s of media\treading it: %.2f GB/s\n", r.Rebuild, r.RebuildFloor)
	return t.Flush()
}
