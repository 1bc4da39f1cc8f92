package fmp4

import (
	"bytes"
	"errors"
	"io"
	"sort"

	"understudy"
)

// exportReader reads an export from any byte on.
type exportReader struct {
	*Export
	source  Source
	at      int64 // of the next byte
	step    int   // the one that is open, or comes next
	course  course
	adding  *adding
	file    io.Closer
	pending []byte // of the open step, from at on
}

// Seek implements io.Seeker.
func (r *exportReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.Size()
	}
	if offset < 0 {
		return r.at, understudy.Errorf(understudy.CodeInvalid, "an export has no byte %d", offset)
	}
	if offset != r.at {
		r.shut()
		r.at, r.pending = offset, nil
	}
	return offset, nil
}

// Read implements io.Reader.
func (r *exportReader) Read(p []byte) (int, error) {
	if head := int64(len(r.head)); r.at < head {
		n := copy(p, r.head[r.at:])
		r.at += int64(n)
		return n, nil
	}
	if r.at >= r.Size() {
		return 0, io.EOF
	}
	for len(r.pending) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	r.at += int64(n)
	return n, nil
}

// Close implements io.Closer.
func (r *exportReader) Close() error {
	r.shut()
	return nil
}

func (r *exportReader) shut() {
	if r.file != nil {
		r.file.Close()
		r.file, r.adding = nil, nil
	}
}

// fill makes the bytes that come next. It begins at the step in which they are,
// whose course is known, and throws away what lies before.
func (r *exportReader) fill() error {
	at := r.at - int64(len(r.head))
	skip := int64(0)
	if r.adding == nil {
		r.step = sort.Search(len(r.steps), func(i int) bool { return r.steps[i].offset > at }) - 1
		skip = at - r.steps[r.step].offset
		if err := r.open(); err != nil {
			return err
		}
	}
	for {
		samples, err := r.adding.next()
		if errors.Is(err, io.EOF) {
			if r.step++; r.step == len(r.steps) {
				return io.ErrUnexpectedEOF // less is there than was measured
			}
			r.shut()
			if err = r.open(); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		if len(samples) == 0 {
			continue
		}
		b, err := r.marshal(samples)
		if err != nil {
			return err
		}
		if int64(len(b)) > skip {
			r.pending = b[skip:]
			return nil
		}
		skip -= int64(len(b))
	}
}

func (r *exportReader) open() error {
	s := r.steps[r.step]
	file, err := r.source(s.piece.Segment)
	if err != nil {
		return err
	}
	r.course = s.course
	r.adding, err = r.course.take(file, s.piece, true)
	if err != nil {
		file.Close()
		return err
	}
	r.file = file
	return nil
}

func (r *exportReader) marshal(samples []TimedSample) ([]byte, error) {
	if r.format == Fragmented {
		return MarshalFragment(r.course.tracks, r.course.sequence, r.course.start(), samples)
	}
	var b bytes.Buffer
	for _, s := range samples {
		b.Write(s.Payload)
	}
	return b.Bytes(), nil
}
