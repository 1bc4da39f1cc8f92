package fmp4

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"understudy"
)

// Extent is a stretch of a file.
type Extent struct{ Offset, Size int64 }

// Damaged is what a source of segments may implement in order to be told where
// a Reader found an end: what begins at offset is no whole fragment. Where the
// source goes on there, it is damage.
type Damaged interface{ Damaged(offset int64) }

// attempts bounds how often damage may look like a fragment and be none.
const attempts = 10_000

// Survey reads and verifies a segment all through, and goes on behind damage at
// the next whole fragment. It returns the extents that are whole, of which the
// first has the header, and the marks of the video samples in them. CodeInvalid
// if r is no segment; other errors are those of reading.
func Survey(r io.ReadSeeker) (h Header, tracks []understudy.Track, marks []understudy.SampleMark, whole []Extent, err error) {
	reader := NewReader(r)
	if h, tracks, err = reader.Header(); err != nil {
		return h, nil, nil, nil, err
	}
	for left := attempts; left > 0; {
		from := reader.offset
		if len(whole) == 0 {
			from = 0
		}
		for {
			f, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return h, nil, nil, nil, err
			}
			marks = append(marks, f.marks()...)
		}
		switch {
		case reader.offset > from:
			whole = append(whole, Extent{from, reader.offset - from})
		default:
			left--
		}
		next, err := nextMoof(r, reader.offset+1)
		if errors.Is(err, io.EOF) {
			return h, tracks, marks, whole, nil
		}
		if err == nil {
			_, err = r.Seek(next, io.SeekStart)
		}
		if err != nil {
			return h, nil, nil, nil, err
		}
		reader = &Reader{src: bufio.NewReaderSize(r, 8<<10), raw: r, offset: next, read: true, header: h, tracks: tracks}
	}
	return h, tracks, marks, whole, nil
}

// marks returns the marks of a fragment's video samples.
func (f Fragment) marks() []understudy.SampleMark { return (&moof{samples: f.Samples}).marks() }

// nextMoof returns where, from there on, something begins that calls itself a
// moof; io.EOF if nothing does.
func nextMoof(r io.ReadSeeker, from int64) (int64, error) {
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return 0, err
	}
	name := []byte("moof")
	buffer := make([]byte, 0, 64<<10)
	for at := from; ; {
		n, err := io.ReadFull(r, buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if i := bytes.Index(buffer, name); i >= 4 {
			return at + int64(i) - 4, nil
		} else if i >= 0 { // its size would lie before from
			buffer[i] = 0
			if i = bytes.Index(buffer, name); i >= 4 {
				return at + int64(i) - 4, nil
			}
		}
		if err != nil {
			return 0, readError(err)
		}
		keep := len(name) + 3 // the size of a box and most of its name
		at += int64(len(buffer) - keep)
		buffer = append(buffer[:0], buffer[len(buffer)-keep:]...)
	}
}
