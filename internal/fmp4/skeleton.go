package fmp4

import (
	"errors"
	"io"
	"time"

	"understudy"
)

var errSkeleton = errors.New("not built yet")

// MarshalInit returns ftyp and moov of the tracks.
func MarshalInit(tracks []understudy.Track) ([]byte, error) { return nil, errSkeleton }

// MarshalHeader returns what a segment begins with: MarshalInit and the private box of h.
func MarshalHeader(h Header, tracks []understudy.Track) ([]byte, error) { return nil, errSkeleton }

// MarshalFragment returns moof and mdat of samples of the tracks, each track's
// in order of time. Decode times count from base.
func MarshalFragment(tracks []understudy.Track, sequence uint32, base time.Time, samples []TimedSample) ([]byte, error) {
	return nil, errSkeleton
}

// Reader reads a segment from its beginning.
type Reader struct{}

// NewReader returns a Reader of a segment.
func NewReader(r io.Reader) *Reader { return nil }

// Header returns which segment it is, and its tracks. CodeInvalid if r is no segment.
func (r *Reader) Header() (Header, []understudy.Track, error) { return Header{}, nil, errSkeleton }

// Next returns the next fragment. io.EOF at the end, be it clean, torn, zeros or garbage.
func (r *Reader) Next() (Fragment, error) { return Fragment{}, errSkeleton }

// Offset is where the last whole fragment (or the header) ends.
func (r *Reader) Offset() int64 { return 0 }

// Scan reads only what a timeline needs, skipping payloads and checksums: the
// header, the tracks and the marks of the video samples.
func Scan(r io.ReadSeeker) (Header, []understudy.Track, []understudy.SampleMark, error) {
	return Header{}, nil, nil, errSkeleton
}

// Composer makes one continuous file of pieces of segments.
type Composer struct{}

// NewComposer returns a Composer that writes a whole file to w: init once, then
// fragments whose time 0 is the first sample of the first piece.
func NewComposer(w io.Writer) *Composer { return nil }

// NewPartComposer returns a Composer that writes media fragments only (no
// init), with times that count from base: a part of a playlist.
func NewPartComposer(w io.Writer, base time.Time, sequence uint32) *Composer { return nil }

// Add appends a piece, read from its segment. CodeConflict if its codecs are
// not those of the pieces before.
func (c *Composer) Add(segment io.ReadSeeker, piece understudy.Piece) error { return errSkeleton }
