package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// resumeOverlap is how much of what is there is fetched again, to see that it is
// the beginning of the same file.
const resumeOverlap = 64 << 10

// ResumeExport goes on with an export that broke off: file holds its beginning
// and gets the rest, from any one server, each of which can read what the
// others hold. The same pieces are the same bytes, whoever puts them together;
// CodeConflict where the end of what is there is not what the server has, since
// other footage is known now.
func (c *Client) ResumeExport(ctx context.Context, camera understudy.CameraID, from, to time.Time, file io.ReadWriteSeeker, progress func(done, total int64)) (ExportResult, error) {
	result := ExportResult{Resumed: true}
	site, err := c.current(ctx)
	if err != nil {
		return result, err
	}
	if _, err := homeOf(site, camera); err != nil {
		return result, err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return result, understudy.Errorf(understudy.CodeInvalid, "the end of the export could not be found: %w", err)
	}
	result.Bytes = size
	query := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}, "format": {string(fmp4.Fragmented)}}
	path := "/v1/cameras/" + url.PathEscape(string(camera)) + "/export.mp4?" + query.Encode()
	addresses := site.MediaServers()
	for _, server := range nearest(site, camera) {
		err = c.rest(ctx, server, addresses[server].Media, path, file, &result, progress)
		if err == nil || ctx.Err() != nil || !fleeting(err) {
			return result, err
		}
	}
	return result, err
}

// rest appends what one server has behind result.Bytes.
func (c *Client) rest(ctx context.Context, server understudy.ServerID, address, path string, file io.ReadWriteSeeker, result *ExportResult, progress func(done, total int64)) error {
	token, err := c.MediaToken(ctx)
	if err != nil {
		return err
	}
	// From byte 1 on at least: for byte 0, a server would answer without a range.
	offset := max(1, result.Bytes-resumeOverlap)
	response, err := c.media(ctx, server, address, path, token, offset)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var total int64
	if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%%d/%%d", offset), new(int64), &total); err != nil || response.StatusCode != http.StatusPartialContent {
		return understudy.Errorf(understudy.CodeUnavailable, "server %s answered with %s, not with the rest of the export", server, response.Status)
	}
	other := understudy.Errorf(understudy.CodeConflict, "what is there is not the beginning of this export: other footage is known now, or --from is another; begin again without --resume")
	if total < result.Bytes {
		return other
	}
	tail := result.Bytes - offset
	have, same := make([]byte, max(tail, 0)), make([]byte, max(tail, 0))
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the export could not be read: %w", err)
	}
	_, err1 := io.ReadFull(file, have)
	_, err2 := io.ReadFull(response.Body, same)
	switch {
	case err1 != nil:
		return understudy.Errorf(understudy.CodeInvalid, "the export could not be read: %w", err1)
	case err2 != nil:
		return understudy.Errorf(understudy.CodeUnavailable, "server %s broke off: %w", server, err2)
	case tail < 1 || !bytes.Equal(have, same):
		return other
	}
	w := &counter{w: file}
	buffer := make([]byte, 256<<10)
	for {
		n, err := response.Body.Read(buffer)
		if _, failed := w.Write(buffer[:n]); failed != nil {
			return understudy.Errorf(understudy.CodeInvalid, "the export could not be written: %w", failed)
		}
		result.Bytes += int64(n)
		if progress != nil {
			progress(result.Bytes, total)
		}
		switch {
		case errors.Is(err, io.EOF) && result.Bytes == total:
			return nil
		case err != nil:
			return understudy.Errorf(understudy.CodeUnavailable, "server %s broke off at byte %d of %d: %w", server, result.Bytes, total, err)
		}
	}
}

// Faststart writes an export as an MP4 with one index in front of its media,
// which every player knows.
func Faststart(export io.ReadSeeker, w io.Writer) error {
	if _, err := export.Seek(0, io.SeekStart); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the export could not be read: %w", err)
	}
	header, _, marks, _, err := fmp4.Scan(export, math.MaxInt64)
	if err != nil {
		return err
	}
	plain, err := fmp4.NewExport(fmp4.Faststart)
	if err != nil {
		return err
	}
	if _, err := export.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := plain.Add(export, understudy.Piece{Segment: header.Segment, Count: len(marks)}); err != nil {
		return err
	}
	if err := plain.Finish(); err != nil {
		return err
	}
	r := plain.Reader(func(understudy.SegmentID) (io.ReadSeekCloser, error) {
		_, err := export.Seek(0, io.SeekStart)
		return kept{export}, err
	})
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// kept is a file that whoever opened it closes.
type kept struct{ io.ReadSeeker }

// Close implements io.Closer.
func (kept) Close() error { return nil }
