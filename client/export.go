package client

import (
	"context"
	"io"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// ExportResult says what is in an export and, where that is so, what is not.
type ExportResult struct {
	// Pieces are what the file is made of, in order.
	Pieces []understudy.Piece
	Frames int   // video samples
	Bytes  int64 // written
	// Resumed: it went on where it had broken off; only Bytes is known.
	Resumed bool
	// Missing names servers that did not answer: what only they hold is not in the file.
	Missing []understudy.ServerID
	// Changed is the capture time at which the camera's coding changes, where the
	// export ended with CodeConflict: what follows needs a file of its own.
	Changed time.Time
	// Skipped lists pieces that were known and could not be fetched.
	Skipped []understudy.Piece
}

// Export writes what all servers together hold of a camera in [from, to) as one
// MP4 file, in which each sample appears once and time 0 is the first one; it
// begins with the key frame at or before from. progress, where it is given, is
// told the bytes written and about how many there will be. It needs the
// management server only for a site that is not known yet. CodeNotFound if
// nothing is recorded; CodeConflict if the camera's coding changes on the way,
// which one file cannot hold.
func (c *Client) Export(ctx context.Context, camera understudy.CameraID, from, to time.Time, w io.Writer, progress func(done, total int64)) (ExportResult, error) {
	site, err := c.current(ctx)
	if err != nil {
		return ExportResult{}, err
	}
	home, err := homeOf(site, camera)
	if err != nil {
		return ExportResult{}, err
	}
	e := export{footage: c.footage(site), w: &counter{w: w}, progress: progress}
	e.composer = fmp4.NewComposer(e.w)
	if progress != nil {
		segments, err := e.footage.Segments(ctx, camera, from, to, false)
		if err != nil {
			return ExportResult{}, err
		}
		e.total = e.estimate(home, segments, from, to)
	}
	for run, err := range understudy.Footage(ctx, e.footage, home, camera, from, to) {
		if err == nil {
			err = e.add(ctx, run)
		}
		if err != nil {
			return e.end(), err
		}
	}
	result := e.end()
	if result.Frames == 0 {
		return result, understudy.Errorf(understudy.CodeNotFound, "nothing is recorded of camera %s from %s to %s%s",
			camera, from.Format(time.RFC3339), to.Format(time.RFC3339), unanswered(result.Missing))
	}
	return result, nil
}

func unanswered(missing []understudy.ServerID) string {
	text := ""
	for _, server := range missing {
		text += "; server " + string(server) + " did not answer"
	}
	return text
}

// export is one on its way.
type export struct {
	footage  *footage
	w        *counter
	composer *fmp4.Composer
	progress func(done, total int64)
	total    int64
	broken   bool // the piece before could not be fetched whole
	result   ExportResult
}

// add appends a run. One that cannot be fetched, since its only server went
// away meanwhile, is left out and named: the rest is worth having.
func (e *export) add(ctx context.Context, run understudy.Run) error {
	for e.broken && run.Count > 0 && !run.Marks[0].Key {
		run.Marks, run.First, run.Count, run.Joined = run.Marks[1:], run.First+1, run.Count-1, false
	}
	if run.Count == 0 {
		return nil
	}
	run.From = run.Marks[0].At
	err := e.compose(ctx, run.Piece)
	switch {
	case err == nil:
		e.broken = false
		e.result.Pieces = append(e.result.Pieces, run.Piece)
		e.result.Frames += run.Count
	case understudy.CodeOf(err) == understudy.CodeConflict:
		e.result.Changed = run.From
		return err
	case ctx.Err() != nil || e.w.err != nil || !fleeting(err):
		return err
	default:
		e.footage.client.log.WarnContext(ctx, "a piece of an export could not be fetched", "segment", run.Segment.String(), "error", err)
		e.broken = true
		e.result.Skipped = append(e.result.Skipped, run.Piece)
		e.footage.mu.Lock()
		for _, server := range e.footage.copies[run.Segment] {
			e.footage.lose(server)
		}
		e.footage.mu.Unlock()
	}
	if e.progress != nil {
		e.progress(e.w.n, max(e.total, e.w.n))
	}
	return nil
}

// fleeting reports that a server, not the footage, is at fault.
func fleeting(err error) bool {
	code := understudy.CodeOf(err)
	return code == understudy.CodeUnavailable || code == understudy.CodeNotFound
}

func (e *export) compose(ctx context.Context, piece understudy.Piece) error {
	segment, err := e.footage.OpenSegment(ctx, piece.Segment)
	if err != nil {
		return err
	}
	defer segment.Close()
	return e.composer.Add(segment, piece)
}

func (e *export) end() ExportResult {
	e.result.Bytes = e.w.n
	e.result.Missing = e.footage.Missing()
	if e.progress != nil {
		e.progress(e.w.n, e.w.n)
	}
	return e.result
}

// estimate returns about how many bytes the spans of a range have.
func (e *export) estimate(home understudy.ServerID, segments []understudy.Segment, from, to time.Time) int64 {
	var bytes, recorded, played float64
	for _, s := range segments {
		bytes += float64(s.Size)
		recorded += s.End.Sub(s.Start).Seconds()
	}
	for _, s := range e.footage.spans(home, segments, from, to) {
		played += s.To.Sub(s.From).Seconds()
	}
	if recorded == 0 {
		return 0
	}
	return int64(bytes * played / recorded)
}

// counter counts what is written and remembers that it could not be.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}
