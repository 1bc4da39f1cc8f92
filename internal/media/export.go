package media

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/usage"
)

// Bounds of one file whose length is told before: all of its fragments' headers
// are read first, and of an MP4 with its index in front, that index is in memory.
const (
	maxFragmented = 24 * time.Hour
	maxFaststart  = 6 * time.Hour
	exportsKept   = 4 // layouts of files that were asked for last, for players that ask for them in parts
	exportsAtOnce = 4 // that are laid out
)

// exports are the layouts that are kept.
type exports struct {
	mu     sync.Mutex
	kept   []laidOut // the last used one last
	places chan struct{}
}

type laidOut struct {
	tag    string
	export *fmp4.Export
}

// serveExport answers with one file of a range to take away, whole or a part.
func (h *handler) serveExport(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	format := fmp4.Format(cmp.Or(r.URL.Query().Get("format"), string(fmp4.Faststart)))
	most := maxFragmented
	if format == fmp4.Faststart {
		most = maxFaststart
	}
	from, to, err := timeRange(r, most)
	if err != nil {
		return err
	}
	return h.serveWhole(w, r, camera, from, to, format)
}

// serveWhole answers with a file whose length and every byte are known: what
// lies on disk decides about them, and its ETag names just that.
func (h *handler) serveWhole(w http.ResponseWriter, r *http.Request, camera understudy.CameraID, from, to time.Time, format fmp4.Format) error {
	if to.Sub(from) > maxFragmented {
		return understudy.Errorf(understudy.CodeInvalid, "a part can be asked for of a range of at most %s, and this one has %s: ask for a shorter range, or for all of it", maxFragmented, to.Sub(from))
	}
	use := h.use(r, takes(r), camera)
	defer use.End()
	var pieces []understudy.Piece
	for run, err := range h.footage(r.Context(), camera, from, to) {
		if err != nil {
			return err
		}
		pieces = append(pieces, run.Piece)
	}
	if len(pieces) == 0 {
		return nothing(camera, from, to)
	}
	return h.serveFile(w, r, file{format, pieces, !h.hears(r, camera)}, use)
}

// file is one of pieces.
type file struct {
	format fmp4.Format
	pieces []understudy.Piece
	mute   bool
}

// serveFile answers with a file, whole or a part, and notes what is in it.
func (h *handler) serveFile(w http.ResponseWriter, r *http.Request, f file, use *usage.Using) error {
	tag := f.tag()
	e, err := h.layOut(r.Context(), tag, f)
	if err != nil {
		return err
	}
	for _, p := range f.pieces {
		use.Gave(p.From, p.To)
	}
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("ETag", tag)
	nameFile(w, r, f.pieces[0].Segment.Camera, f.pieces[0].From)
	content := e.Reader(func(id understudy.SegmentID) (io.ReadSeekCloser, error) {
		return h.Library.OpenSegment(r.Context(), id)
	})
	defer content.Close()
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

// nameFile gives a file that is to be kept its name.
func nameFile(w http.ResponseWriter, r *http.Request, camera understudy.CameraID, from time.Time) {
	if takes(r) == understudy.ActionExport {
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%s.mp4"`, camera, from.UTC().Format("20060102-150405")))
	}
}

// tag names the bytes of a file: equal pieces are equal bytes, wherever they
// lie meanwhile (RFC 9110 §8.8.3).
func (f file) tag() string {
	hash := sha256.New()
	fmt.Fprintf(hash, "1 %s\n", f.format)
	if f.mute {
		fmt.Fprintln(hash, "without sound")
	}
	for _, p := range f.pieces {
		fmt.Fprintf(hash, "%s %d %d %t\n", p.Segment, p.First, p.Count, p.Joined)
	}
	return `"` + hex.EncodeToString(hash.Sum(nil)[:16]) + `"`
}

// layOut returns the layout of a file; one that was asked for lately is kept.
func (h *handler) layOut(ctx context.Context, tag string, f file) (*fmp4.Export, error) {
	if e := h.exports.take(tag); e != nil {
		return e, nil
	}
	select {
	case h.exports.slots() <- struct{}{}:
		defer func() { <-h.exports.slots() }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e, err := fmp4.NewExport(f.format)
	if err != nil {
		return nil, err
	}
	if f.mute {
		e.Mute()
	}
	for _, piece := range f.pieces {
		if err := h.measure(ctx, e, piece); err != nil {
			return nil, err
		}
	}
	if err := e.Finish(); err != nil {
		return nil, err
	}
	h.exports.keep(laidOut{tag, e})
	return e, nil
}

func (h *handler) measure(ctx context.Context, e *fmp4.Export, piece understudy.Piece) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	segment, err := h.Library.OpenSegment(ctx, piece.Segment)
	if err != nil {
		return err
	}
	defer segment.Close()
	err = e.Add(segment, piece)
	if changed, ok := errors.AsType[*understudy.Error](err); ok && changed.Code == understudy.CodeConflict {
		return understudy.Errorf(understudy.CodeConflict, "at %s: %w; ask for what is before and after in two files", piece.From.Format(time.RFC3339Nano), err)
	}
	return err
}

func (x *exports) slots() chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.places == nil {
		x.places = make(chan struct{}, exportsAtOnce)
	}
	return x.places
}

func (x *exports) take(tag string) *fmp4.Export {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := slices.IndexFunc(x.kept, func(l laidOut) bool { return l.tag == tag })
	if i < 0 {
		return nil
	}
	found := x.kept[i]
	x.kept = append(slices.Delete(x.kept, i, i+1), found)
	return found.export
}

func (x *exports) keep(l laidOut) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = append(x.kept, l)
	if len(x.kept) > exportsKept {
		x.kept = slices.Delete(x.kept, 0, 1)
	}
}
