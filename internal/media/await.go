package media

import (
	"context"
	"time"

	"understudy"
	"understudy/internal/stream"
)

// soonFor is how long a viewer waits for a picture that this server may have to
// show any moment, until it is told to look elsewhere as well.
const soonFor = 2 * time.Second

// soon asks the server whether it may have to show a camera any moment.
func (h *handler) soon(camera understudy.CameraID) (news <-chan struct{}, ok bool) {
	if h.Soon == nil {
		return nil, false
	}
	return h.Soon(camera)
}

// await returns the hub of a camera as soon as it is served here; not ok when it
// is not expected here any more, or the viewer has waited long enough.
func (h *handler) await(ctx context.Context, camera understudy.CameraID) (*stream.Hub, bool) {
	ctx, cancel := context.WithTimeout(ctx, soonFor)
	defer cancel()
	for {
		news, soon := h.soon(camera) // before the look, which may come too early otherwise
		if hub, ok := h.Library.Live(camera); ok || !soon {
			return hub, ok
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, false
		}
	}
}
