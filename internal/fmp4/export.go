package fmp4

import (
	"errors"
	"io"

	"understudy"
)

// Format is the form of an exported file.
type Format string

// The formats.
const (
	Fragmented Format = "fmp4" // as a Composer writes it: times and hashes of all samples are in it
	Faststart  Format = "mp4"  // one index in front of the media, for players that know nothing else
)

// Source opens a segment; its reader seeks.
type Source func(understudy.SegmentID) (io.ReadSeekCloser, error)

// Export is one file made of pieces, as a Composer makes it, whose size is known
// before it is written and which can be read from any byte on: the same pieces
// are always the same bytes, wherever the segments lie. Add reads the headers
// of fragments only; memory is some hundred bytes a piece, and for Faststart
// some ten bytes a sample.
type Export struct {
	format Format
	course course
	steps  []step
	head   []byte // of the file; before the first step
	size   int64  // of what follows head
	index  index  // Faststart only

}

// step is a piece, and how far the file had come before it.
type step struct {
	piece  understudy.Piece
	course course
	offset int64 // behind the head
}

// NewExport returns an export without pieces. CodeInvalid for a format that does not exist.
func NewExport(format Format) (*Export, error) {
	if format != Fragmented && format != Faststart {
		return nil, understudy.Errorf(understudy.CodeInvalid, "an export's format is %s or %s, not %.20q", Fragmented, Faststart, string(format))
	}
	return &Export{format: format}, nil
}

// Mute leaves out the sound; it is called before the first piece.
func (e *Export) Mute() { e.course.mute = true }

// Add appends a piece, whose segment must stand at its beginning; errors are those of Composer.Add. After CodeConflict for
// other codecs the export is as before, after other errors it is of no use.
func (e *Export) Add(segment io.ReadSeeker, piece understudy.Piece) error {
	s := step{piece: piece, course: e.course, offset: e.size}
	adding, err := e.course.take(segment, piece, false)
	if err != nil {
		return err
	}
	e.steps = append(e.steps, s)
	if e.index == nil {
		e.index = make(index, len(e.course.tracks))
	}
	for {
		samples, err := adding.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case len(samples) == 0:
		case e.format == Faststart:
			e.size = e.index.add(e.course, samples, e.size)
		default:
			e.size += int64(fragmentSize(samples))
		}
	}
}

// fragmentSize returns how long MarshalFragment's answer is.
func fragmentSize(samples []TimedSample) int {
	n, tracks := 0, map[int]bool{}
	for _, s := range samples {
		n += s.bytes()
		tracks[s.Track] = true
	}
	return 8 + mfhdSize + privateSize + len(tracks)*(8+tfhdSize+tfdtSize+trunSize) + len(samples)*(trunEntrySize+entrySize) + 8 + n
}

// Finish makes the file's head. CodeNotFound for an export of nothing.
func (e *Export) Finish() error {
	if len(e.steps) == 0 {
		return understudy.Errorf(understudy.CodeNotFound, "an export needs a piece of footage, and has none")
	}
	first := e.steps[0].piece.Segment
	first.Sequence = 0
	var err error
	if e.format == Faststart {
		e.head, err = e.index.head(e.course.tracks, e.size)
		e.index = index{}
	} else {
		e.head, err = MarshalHeader(Header{Segment: first, Start: e.course.base}, e.course.tracks)
	}
	return err
}

// Size returns the bytes of the whole file, after Finish.
func (e *Export) Size() int64 { return int64(len(e.head)) + e.size }

// Reader returns a reader of the finished export, with a place of its own, that
// reads segments from source. It is to be closed.
func (e *Export) Reader(source Source) io.ReadSeekCloser {
	return &exportReader{Export: e, source: source}
}
