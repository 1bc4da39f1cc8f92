package archive

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/minio/minio-go/v7"

	"understudy"
)

// A reader asks for one window at a time. Each that follows the one before is
// twice as large: whoever looks for a frame takes little, whoever plays takes
// much, and every answer is read whole, so that its connection is used again.
const (
	firstWindow = 256 << 10
	lastWindow  = 4 << 20
)

// Open returns a reader of an object of which the size is known. It asks the
// store only when it is read; errors come then. The reader belongs to ctx.
func (b *Bucket) Open(ctx context.Context, name string, size int64) io.ReadSeekCloser {
	return &reader{ctx: ctx, bucket: b, name: name, size: size}
}

// reader reads an object by ranges, ahead of whoever reads on. It implements
// io.ReadSeekCloser and io.ReaderAt.
type reader struct {
	ctx    context.Context
	bucket *Bucket
	name   string
	size   int64

	mu     sync.Mutex
	at     int64  // of Read
	window []byte // bytes of the object from start
	start  int64
	closed bool
}

// Read reads on from where the last one ended.
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.readAt(p, r.at)
	r.at += int64(n)
	return n, err
}

// ReadAt fills p from an offset.
func (r *reader) ReadAt(p []byte, at int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) {
		m, err := r.readAt(p[n:], at+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Seek sets where Read goes on. It asks nobody.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, understudy.Errorf(understudy.CodeInvalid, "a seek in %s went before its beginning", r.name)
	}
	r.at = offset
	return offset, nil
}

// Close lets the window go.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.window, r.closed = nil, true
	return nil
}

func (r *reader) readAt(p []byte, at int64) (int, error) {
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	if at >= r.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if at < r.start || at >= r.start+int64(len(r.window)) {
		if err := r.fetch(at); err != nil {
			return 0, err
		}
	}
	return copy(p, r.window[at-r.start:]), nil
}

// fetch gets the window that begins at an offset.
func (r *reader) fetch(at int64) error {
	length := int64(firstWindow)
	if len(r.window) > 0 && at == r.start+int64(len(r.window)) {
		length = min(2*int64(len(r.window)), lastWindow)
	}
	length = min(length, r.size-at)
	buffer := r.window[:0]
	if int64(cap(buffer)) < length {
		buffer = make([]byte, length)
	}
	r.window, r.start = nil, 0
	var err error
	for range attempts {
		if err = r.fill(buffer[:length], at); err == nil {
			r.window, r.start = buffer[:length], at
			return nil
		}
		if r.ctx.Err() != nil || understudy.CodeOf(err) == understudy.CodeNotFound {
			break
		}
	}
	return err
}

func (r *reader) fill(p []byte, at int64) error {
	ctx, cancel := context.WithTimeout(r.ctx, windowTimeout)
	defer cancel()
	b, doing := r.bucket, "reading "+r.name
	var options minio.GetObjectOptions
	if err := options.SetRange(at, at+int64(len(p))-1); err != nil {
		return err
	}
	body, _, _, err := b.client.GetObject(ctx, b.config.Bucket, b.key(r.name), options)
	if err != nil {
		return b.explain(doing, err)
	}
	defer body.Close()
	_, err = io.ReadFull(body, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return understudy.Errorf(understudy.CodeUnavailable, "%s: the archive %s ended before byte %d of %d; the object is shorter than it was, or the connection broke", doing, b, at+int64(len(p)), r.size)
	}
	return b.explain(doing, err)
}
