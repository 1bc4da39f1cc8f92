package fmp4

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"understudy"
)

// Reader reads a segment from its beginning. Nothing in it is trusted: sizes
// are bounded, and memory grows with the bytes that are really there.
type Reader struct {
	src    *bufio.Reader
	raw    io.Reader
	offset int64 // end of the last whole fragment
	passed int   // video samples before that offset
	read   bool  // the header was read
	ended  bool
	header Header
	tracks []understudy.Track
	err    error // of the header
}

// NewReader returns a Reader of a segment. If r also seeks, skipped payloads are not read.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: bufio.NewReaderSize(r, 8<<10), raw: r}
}

// Header returns which segment it is, and its tracks. CodeInvalid if r is no
// segment; other errors are those of reading.
func (r *Reader) Header() (Header, []understudy.Track, error) {
	if !r.read {
		r.read = true
		r.header, r.tracks, r.err = r.readHeader()
	}
	return r.header, r.tracks, r.err
}

// Offset is where the last whole fragment (or the header) ends.
func (r *Reader) Offset() int64 { return r.offset }

var errNoSegment = understudy.Errorf(understudy.CodeInvalid, "a segment begins with ftyp, moov and the header of this program; this file does not")

func (r *Reader) readHeader() (Header, []understudy.Track, error) {
	total := 0
	for _, kind := range []string{"ftyp", "moov", "uuid"} {
		box, err := r.readBox(nil, kind, maxHeader-total)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errNoSegment
			}
			return Header{}, nil, err
		}
		total += len(box)
		if kind != "uuid" {
			continue
		}
		if len(box) < 24 || [16]byte(box[8:24]) != headerUUID {
			return Header{}, nil, errNoSegment
		}
		h, tracks, err := parseHeader(box[24:])
		if err != nil {
			return Header{}, nil, err
		}
		r.offset = int64(total)
		return h, tracks, nil
	}
	return Header{}, nil, errNoSegment
}

// Next returns the next fragment. io.EOF at the end, be it clean, torn, zeros
// or garbage; Offset tells where that is. Other errors are those of reading.
func (r *Reader) Next() (Fragment, error) {
	m, b, err := r.nextMoof()
	if err != nil {
		return Fragment{}, err
	}
	return r.payloads(m, b)
}

// nextMoof reads up to the first byte of the next fragment's mdat.
func (r *Reader) nextMoof() (moof, []byte, error) {
	if _, _, err := r.Header(); err != nil {
		return moof{}, nil, err
	}
	if r.ended {
		return moof{}, nil, io.EOF
	}
	b, err := r.readBox(nil, "moof", maxMoof)
	if err != nil {
		return moof{}, nil, r.end(err)
	}
	m, ok := parseMoof(b, r.tracks)
	if !ok {
		return moof{}, nil, r.end(io.EOF)
	}
	return m, b, nil
}

// payloads reads the mdat that follows m and checks the whole.
func (r *Reader) payloads(m moof, b []byte) (Fragment, error) {
	moofSize := len(b)
	b, err := r.readBox(b, "mdat", 8+m.payload)
	if err != nil {
		return Fragment{}, r.end(err)
	}
	if len(b) != moofSize+8+m.payload || !m.verify(b, moofSize) {
		return Fragment{}, r.end(io.EOF)
	}
	f := Fragment{Sequence: m.sequence, Offset: r.offset, Size: len(b), Samples: m.samples}
	r.offset += int64(len(b))
	r.passed += m.pictures()
	return f, nil
}

// Find returns the fragment that holds the n-th video sample of the segment,
// counted from 0, and the number of its first one. What lies before is passed
// over, so that n must not fall behind what was read. io.EOF as from Next.
func (r *Reader) Find(n int) (f Fragment, first int, err error) {
	for {
		m, b, err := r.moofTo(n)
		if err != nil {
			return Fragment{}, 0, err
		}
		if first := r.passed; n < first+m.pictures() {
			f, err := r.payloads(m, b)
			return f, first, err
		}
		if err := r.skip(m, b); err != nil {
			return Fragment{}, 0, err
		}
	}
}

// NextMarks passes over the next fragment, which begins at Offset, and returns
// the marks of its video samples; verified if its bytes are to be read and
// checked. Errors as from Next.
func (r *Reader) NextMarks(verified bool) ([]understudy.SampleMark, error) {
	m, b, err := r.nextMoof()
	switch {
	case err != nil:
	case verified:
		_, err = r.payloads(m, b)
	default:
		err = r.skip(m, b)
	}
	if err != nil {
		return nil, err
	}
	return m.marks(), nil
}

// indexed is what a source of segments may implement that knows where fragments
// lie: where the one with a video sample begins, and the number of its first one.
type indexed interface {
	io.Seeker
	FragmentAt(sample int) (offset int64, first int, ok bool)
}

// moofTo is nextMoof of the fragment with the n-th video sample, where the source
// knows where that lies, and of the next one else. Where something else lies
// there, it is the next one, too.
func (r *Reader) moofTo(n int) (moof, []byte, error) {
	if _, _, err := r.Header(); err != nil {
		return moof{}, nil, err
	}
	source, known := r.raw.(indexed)
	if !known || r.ended {
		return r.nextMoof()
	}
	offset, first, known := source.FragmentAt(n)
	if !known || offset <= r.offset || first < r.passed || first > n {
		return r.nextMoof()
	}
	if err := r.seek(source, offset); err != nil {
		return moof{}, nil, r.end(err)
	}
	b, err := r.readBox(nil, "moof", maxMoof)
	if m, ok := parseMoof(b, r.tracks); err == nil && ok && n < first+m.pictures() {
		r.offset, r.passed = offset, first
		return m, b, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = r.seek(source, r.offset)
	}
	if err != nil {
		return moof{}, nil, r.end(err)
	}
	return r.nextMoof()
}

// seek goes to an offset of the segment.
func (r *Reader) seek(source io.Seeker, offset int64) error {
	_, err := source.Seek(offset, io.SeekStart)
	r.src.Reset(r.raw)
	return err
}

// skip passes over the mdat that follows m, unread where the source seeks.
func (r *Reader) skip(m moof, b []byte) error {
	head, err := r.src.Peek(8)
	if err != nil || string(head[4:8]) != "mdat" || int(binary.BigEndian.Uint32(head)) != 8+m.payload {
		return r.end(readError(err))
	}
	// All but the last byte is passed over; that one is read, to know that it is there.
	n := 8 + m.payload - 1
	if seeker, ok := r.raw.(io.Seeker); ok && n > r.src.Buffered() {
		if _, err := seeker.Seek(int64(n-r.src.Buffered()), io.SeekCurrent); err != nil {
			return r.end(err)
		}
		r.src.Reset(r.raw)
	} else if _, err := r.src.Discard(n); err != nil {
		return r.end(readError(err))
	}
	if _, err := r.src.ReadByte(); err != nil {
		return r.end(readError(err))
	}
	r.offset += int64(len(b) + 8 + m.payload)
	r.passed += m.pictures()
	return nil
}

// end makes this the end of the segment; real errors of reading stay errors.
func (r *Reader) end(err error) error {
	r.ended = true
	if source, ok := r.raw.(Damaged); ok && errors.Is(err, io.EOF) {
		source.Damaged(r.offset)
	}
	return err
}

// readError turns a missing rest into io.EOF.
func readError(err error) error {
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// readBox appends a whole box of that kind and at most so many bytes to b;
// io.EOF if what follows is not one.
func (r *Reader) readBox(b []byte, kind string, most int) ([]byte, error) {
	head, err := r.src.Peek(8)
	if err != nil {
		return nil, readError(err)
	}
	size := int(binary.BigEndian.Uint32(head))
	if string(head[4:8]) != kind || size < 8 || size > most {
		return nil, io.EOF
	}
	// In steps, so that a size that lies costs no more memory than there are bytes.
	const step = 1 << 20
	for size > 0 {
		n, at := min(size, step), len(b)
		b = append(b, make([]byte, n)...)
		if _, err := io.ReadFull(r.src, b[at:]); err != nil {
			return nil, readError(err)
		}
		size -= n
	}
	return b, nil
}

// Scan reads what a timeline needs: the header, the tracks, the marks of the
// video samples, and where the last whole fragment ends. Payloads and checksums
// of fragments that begin before verifyFrom are skipped, later ones are verified.
func Scan(r io.ReadSeeker, verifyFrom int64) (Header, []understudy.Track, []understudy.SampleMark, int64, error) {
	reader := NewReader(r)
	h, tracks, err := reader.Header()
	if err != nil {
		return Header{}, nil, nil, 0, err
	}
	var marks []understudy.SampleMark
	for {
		more, err := reader.NextMarks(reader.Offset() >= verifyFrom)
		if errors.Is(err, io.EOF) {
			return h, tracks, marks, reader.Offset(), nil
		}
		if err != nil {
			return Header{}, nil, nil, 0, err
		}
		marks = append(marks, more...)
	}
}
