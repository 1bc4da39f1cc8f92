package archive

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"understudy"
)

// partSize is what goes in one request; a larger segment goes in parts.
const partSize = 64 << 20

// sumKey is the metadata that holds the SHA-256 of an object.
const sumKey = "Sha256"

// The headers by which S3 takes and tells a CRC-32C of a whole object.
const (
	crcHeader  = "X-Amz-Checksum-Crc32c"
	kindHeader = "X-Amz-Checksum-Type"
	nameHeader = "X-Amz-Checksum-Algorithm"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sums are what an object or a part of it is compared by.
type sums struct {
	sha256 [32]byte
	crc    string // CRC-32C as S3 writes it
}

func sumsOf(r io.Reader) (sums, int64, error) {
	whole, crc := sha256.New(), crc32.New(castagnoli)
	n, err := io.Copy(io.MultiWriter(whole, crc), r)
	return sums{[32]byte(whole.Sum(nil)), base64.StdEncoding.EncodeToString(crc.Sum(nil))}, n, err
}

// Put stores size bytes under a name, with metadata for whoever finds the object
// without us. When it returns nil, the store has said that it holds exactly
// these bytes: by size and checksum or, where it tells no checksum, by reading
// them back. What is there already, equal, is not sent again.
func (b *Bucket) Put(ctx context.Context, name string, r io.ReadSeeker, size int64, metadata map[string]string) error {
	want, n, err := sumsOf(r)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "%s cannot be read in order to archive it; check the disk: %w", name, err)
	}
	if n != size {
		return understudy.Errorf(understudy.CodeInternal, "%s has %d bytes, and %d were announced to the archive", name, n, size)
	}
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[sumKey] = hex.EncodeToString(want.sha256[:])
	if err := b.verify(ctx, name, size, want); err == nil || understudy.CodeOf(err) == understudy.CodeUnavailable {
		return err
	}
	for attempt := range attempts {
		if attempt > 0 {
			if err := wait(ctx, time.Second<<attempt); err != nil {
				return err
			}
		}
		if err = b.send(ctx, name, r, size, want, maps.Clone(metadata)); err == nil {
			err = b.verify(ctx, name, size, want)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (b *Bucket) send(ctx context.Context, name string, r io.ReadSeeker, size int64, whole sums, metadata map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+b.atLeast(size, 100<<10))
	defer cancel()
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if size > partSize {
		return b.explain("uploading "+name, b.sendParts(ctx, name, r, size, whole, metadata))
	}
	// The signature covers the SHA-256, so that no other bytes are taken.
	metadata[crcHeader] = whole.crc
	_, err := b.client.PutObject(ctx, b.config.Bucket, b.key(name), b.limit(ctx, r), size, "", hex.EncodeToString(whole.sha256[:]),
		minio.PutObjectOptions{UserMetadata: metadata, ContentType: contentType})
	return b.explain("uploading "+name, err)
}

func (b *Bucket) sendParts(ctx context.Context, name string, r io.ReadSeeker, size int64, whole sums, metadata map[string]string) (err error) {
	metadata[nameHeader], metadata[kindHeader] = "CRC32C", "FULL_OBJECT"
	bucket, key := b.config.Bucket, b.key(name)
	upload, err := b.client.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{UserMetadata: metadata, ContentType: contentType})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // what cannot be ended now, Tidy does
			abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
			defer cancel()
			err = errors.Join(err, b.client.AbortMultipartUpload(abort, bucket, key, upload))
		}
	}()
	var parts []minio.CompletePart
	for at := int64(0); at < size; at += partSize {
		length := min(partSize, size-at)
		sum, _, err := sumsOf(io.LimitReader(r, length))
		if err != nil {
			return err
		}
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return err
		}
		part, err := b.client.PutObjectPart(ctx, bucket, key, upload, len(parts)+1, b.limit(ctx, io.LimitReader(r, length)), length,
			minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum.sha256[:]), DisableContentSha256: true, CustomHeader: http.Header{crcHeader: {sum.crc}}})
		if err != nil {
			return err
		}
		parts = append(parts, minio.CompletePart{PartNumber: part.PartNumber, ETag: part.ETag, ChecksumCRC32C: sum.crc})
	}
	_, err = b.client.CompleteMultipartUpload(ctx, bucket, key, upload, parts,
		minio.PutObjectOptions{UserMetadata: map[string]string{crcHeader: whole.crc, kindHeader: "FULL_OBJECT"}})
	return err
}

const contentType = "video/mp4"

// atLeast is how long size bytes take at the configured rate, or at a low one.
func (b *Bucket) atLeast(size, low int64) time.Duration {
	if b.config.BytesPerSecond > 0 {
		low = min(low, b.config.BytesPerSecond)
	}
	return time.Duration(size/low+1) * time.Second
}

// verify compares the object with what it must be. CodeNotFound if there is
// none, CodeConflict if it is another.
func (b *Bucket) verify(ctx context.Context, name string, size int64, want sums) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+b.atLeast(size, 1<<20))
	defer cancel()
	info, err := b.client.StatObject(ctx, b.config.Bucket, b.key(name), minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return b.explain("looking at "+name, err)
	}
	same := info.Size == size
	switch {
	case !same:
	case info.ChecksumCRC32C != "" && info.ChecksumMode != "COMPOSITE":
		same = info.ChecksumCRC32C == want.crc
	default:
		r := b.Open(ctx, name, size)
		defer r.Close()
		found, _, err := sumsOf(r)
		if err != nil {
			return err
		}
		same = found == want
	}
	if !same {
		return understudy.Errorf(understudy.CodeConflict, "the archive %s has other bytes under %s (%d) than were sent (%d); it is sent again", b, name, info.Size, size)
	}
	return nil
}

func (b *Bucket) limit(ctx context.Context, r io.Reader) io.Reader {
	return &limited{ctx: ctx, r: r, rate: b.config.BytesPerSecond}
}

// limited reads no faster than uploads may go, and stops when ctx ends.
type limited struct {
	ctx   context.Context
	r     io.Reader
	rate  int64 // bytes a second; 0 is no bound
	begun time.Time
	read  int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.rate <= 0 {
		return l.r.Read(p)
	}
	if l.begun.IsZero() {
		l.begun = time.Now()
	}
	due := time.Duration(float64(l.read) / float64(l.rate) * float64(time.Second))
	if ahead := due - time.Since(l.begun); ahead > 0 {
		if err := wait(l.ctx, ahead); err != nil {
			return 0, err
		}
	}
	n, err := l.r.Read(p[:min(len(p), 64<<10)])
	l.read += int64(n)
	return n, errors.Join(l.ctx.Err(), err)
}
