package media

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/listen"
	"understudy/internal/usage"
)

// takes says whether a file of recordings is to be kept or played.
func takes(r *http.Request) understudy.Action {
	if r.Pattern == "GET /v1/cameras/{camera}/export.mp4" {
		return understudy.ActionExport
	}
	return playbackOrExport(r)
}

// use begins to note what a request gives out of a camera's footage; who asks for
// the header alone is given none.
func (h *handler) use(r *http.Request, action understudy.Action, camera understudy.CameraID) *usage.Using {
	if r.Method == http.MethodHead {
		return nil
	}
	who := understudy.Asker(r.Context())
	token := who.Address
	who.Address = listen.Host(r.RemoteAddr)
	return h.Uses.Begin(who, token, action, camera)
}

func (h *handler) refused(r *http.Request, who understudy.Identity, action understudy.Action, camera understudy.CameraID) {
	token := who.Address
	who.Address = listen.Host(r.RemoteAddr)
	h.Uses.Refused(who, token, action, camera)
}

// gaveSegment notes that a whole segment that lies here is given out, and leaves it at its beginning.
func (h *handler) gaveSegment(ctx context.Context, use *usage.Using, id understudy.SegmentID, segment io.ReadSeeker) error {
	if use == nil {
		return nil
	}
	header, _, err := fmp4.NewReader(segment).Header()
	if err != nil {
		return err
	}
	segments, err := h.Library.Here().Segments(ctx, id.Camera, header.Start, header.Start.Add(time.Millisecond), false)
	if err != nil {
		return err
	}
	end := header.Start // one that nothing is known of but its name
	if i := slices.IndexFunc(segments, func(s understudy.Segment) bool { return s.ID == id }); i >= 0 {
		end = segments[i].End
	}
	use.Gave(header.Start, end)
	_, err = segment.Seek(0, io.SeekStart)
	return err
}
