package media

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/usage"
)

// Bounds of what one request may ask for. Marks are held in memory while they
// are sent; a playlist is, too.
const (
	maxList     = 31 * 24 * time.Hour
	maxMarks    = time.Hour
	maxPlaylist = 24 * time.Hour
	maxMedia    = 31 * 24 * time.Hour
)

// serveSegments answers with the segments that touch a range, one array, marks
// included when asked for.
func (h *handler) serveSegments(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	marks, most := r.URL.Query().Get("marks") == "1", maxList
	if marks {
		most = maxMarks
	}
	from, to, err := timeRange(r, most)
	if err != nil {
		return err
	}
	segments, err := h.Library.Here().Segments(r.Context(), camera, from, to, marks)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	separator := "["
	for _, s := range segments { // one at a time: the whole text would be larger than the marks
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		separator = ",\n"
	}
	if len(segments) == 0 {
		_, err = io.WriteString(w, "[")
	}
	if err == nil {
		_, err = io.WriteString(w, "]\n")
	}
	return err
}

// serveNotes answers with the notes of a range that lie here.
func (h *handler) serveNotes(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	from, to, err := timeRange(r, maxList)
	if err != nil {
		return err
	}
	notes, err := h.Library.Here().Notes(r.Context(), camera, from, to)
	if err != nil {
		return err
	}
	if notes == nil {
		notes = []understudy.Note{}
	}
	writeJSON(w, http.StatusOK, notes)
	return nil
}

// serveSegment answers with the durable bytes of a segment, whole or a range; to who
// may not hear it, with its pictures.
func (h *handler) serveSegment(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	id, err := understudy.ParseSegmentID(string(camera) + "/" + strings.TrimSuffix(r.PathValue("name"), ".mp4"))
	if err != nil {
		return err
	}
	segment, err := h.Library.Here().OpenSegment(r.Context(), id)
	if err != nil {
		return err
	}
	defer segment.Close()
	use := h.use(r, understudy.ActionExport, camera) // a file, which players do not ask for
	defer use.End()
	if err := h.gaveSegment(r.Context(), use, id, segment); err != nil {
		return err
	}
	if !h.hears(r, camera) {
		_, tracks, marks, _, err := fmp4.Scan(segment, 1<<62)
		if err != nil {
			return err
		}
		if len(tracks) > 1 {
			return h.servePictures(w, r, id, marks, use)
		}
		if _, err := segment.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "video/mp4")
	http.ServeContent(w, r, "", time.Time{}, segment)
	return nil
}

// servePictures answers with a segment without its sound: the same bytes on every server,
// and, of one that grows, those of before and more, as of the segment itself.
func (h *handler) servePictures(w http.ResponseWriter, r *http.Request, id understudy.SegmentID, marks []understudy.SampleMark, use *usage.Using) error {
	if len(marks) == 0 {
		return understudy.Errorf(understudy.CodeNotFound, "segment %s has no picture yet, and you may not hear camera %s", id, id.Camera)
	}
	piece := understudy.Piece{Segment: id, Count: len(marks), From: marks[0].At, To: marks[len(marks)-1].At.Add(marks[len(marks)-1].Duration)}
	return h.serveFile(w, r, file{fmp4.Fragmented, []understudy.Piece{piece}, true}, use)
}

// serveMedia answers with one MP4 of a range, for a player: it begins at once,
// while the rest is still looked up. Who asks for a part of it, or for no more
// than an hour, gets a length and may go on anywhere.
func (h *handler) serveMedia(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	from, to, err := timeRange(r, maxMedia)
	if err != nil {
		return err
	}
	if r.Header.Get("Range") != "" || to.Sub(from) <= maxMarks {
		return h.serveWhole(w, r, camera, from, to, fmp4.Fragmented)
	}
	use := h.use(r, takes(r), camera)
	defer use.End()
	composer := fmp4.NewComposer(w)
	if !h.hears(r, camera) {
		composer.Mute()
	}
	empty := true
	for run, err := range h.footage(r.Context(), camera, from, to) {
		if err != nil {
			return err
		}
		if empty {
			empty = false
			w.Header().Set("Content-Type", "video/mp4")
			nameFile(w, r, camera, run.From)
		}
		use.Gave(run.From, run.To)
		if err := h.compose(r.Context(), composer, run.Piece); err != nil {
			return err
		}
	}
	if empty {
		return nothing(camera, from, to)
	}
	return nil
}

func nothing(camera understudy.CameraID, from, to time.Time) error {
	return understudy.Errorf(understudy.CodeNotFound, "nothing of camera %s from %s to %s lies on a server that answers; its timeline says where something does",
		camera, from.Format(time.RFC3339), to.Format(time.RFC3339))
}

func (h *handler) footage(ctx context.Context, camera understudy.CameraID, from, to time.Time) iter.Seq2[understudy.Run, error] {
	return understudy.Footage(ctx, h.Library, h.Library.Home(camera), camera, from, to)
}

func (h *handler) compose(ctx context.Context, composer *fmp4.Composer, piece understudy.Piece) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	segment, err := h.Library.OpenSegment(ctx, piece.Segment)
	if err != nil {
		return err
	}
	defer segment.Close()
	return composer.Add(segment, piece)
}
