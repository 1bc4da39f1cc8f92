package rtsp

import (
	"context"
	"time"
)

// Source keeps a camera pulled: it reconnects for as long as it runs.
type Source struct {
	config Config
	sink   Sink
}

// NewSource returns a source that has not begun.
func NewSource(c Config, sink Sink) *Source { return &Source{config: c, sink: sink} }

// Run pulls the camera until ctx ends; its error is ctx's.
func (s *Source) Run(ctx context.Context) error { return ctx.Err() }

// Fault says in one sentence why nothing comes; empty while frames come.
func (s *Source) Fault() string { return "" }

// Frames returns how many video frames came since the source was made.
func (s *Source) Frames() uint64 { return 0 }

// Last returns when the last video frame arrived; zero before the first.
func (s *Source) Last() time.Time { return time.Time{} }
