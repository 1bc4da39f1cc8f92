// Package rtsp takes streams from cameras and serves live and recorded video, over RTSP.
package rtsp

import (
	"context"
	"log/slog"

	"understudy"
)

// Sink is where the samples of a source go; a stream.Hub is one. Neither method
// may wait. Tracks comes first, and again whenever the source begins anew.
type Sink interface {
	Tracks(tracks []understudy.Track)
	Sample(s *understudy.Sample)
}

// Config is one camera as it is pulled.
type Config struct {
	URL       string               // rtsp[s]://host[:port]/path, without credentials
	Transport understudy.Transport // empty: TCP
	Username  string
	Password  understudy.Secret
	Log       *slog.Logger
}

// Pull runs one session with a camera and ends with what ended it, an
// *understudy.Error of one sentence, or ctx's error.
func Pull(ctx context.Context, c Config, sink Sink) error {
	<-ctx.Done()
	return ctx.Err()
}
