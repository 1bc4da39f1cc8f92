package media

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// captureTime is the header that says when a still was captured.
const captureTime = "Understudy-Captured"

// stillWindows are how far back a still is looked for, a step at a time: the
// usual one is found in the first, and none is paid for by a long list.
var stillWindows = []time.Duration{5 * time.Minute, 24 * time.Hour, maxList}

// stillWait is how long a live still waits for a camera's key frame.
const stillWait = 10 * time.Second

// serveStill answers with the key frame at or before a time, or with the live
// one: a JPEG of a camera that sends such, else an MP4 of that one picture.
func (h *handler) serveStill(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	var track understudy.Track
	var sample *understudy.Sample
	var err error
	if r.URL.Query().Has("at") {
		var at time.Time
		if at, err = queryTime(r, "at"); err == nil {
			track, sample, err = h.recordedStill(r.Context(), camera, at)
		}
		if err == nil {
			use := h.use(r, understudy.ActionPlayback, camera)
			defer use.End()
			use.Gave(sample.At, sample.At)
		}
	} else {
		hub, ok := h.Library.Live(camera)
		if !ok {
			return h.redirect(w, r, camera)
		}
		reader := hub.Subscribe(liveQueue)
		defer reader.Close()
		ctx, cancel := context.WithTimeout(r.Context(), stillWait)
		defer cancel()
		for sample == nil && err == nil {
			item, failed := reader.Next(ctx)
			switch {
			case failed != nil:
				err = understudy.Errorf(understudy.CodeUnavailable, "camera %s sends no picture now: %w", camera, failed)
			case item.Tracks != nil:
				track = item.Tracks[0]
			case item.Sample.Key && item.Sample.Track == understudy.VideoTrack:
				sample = item.Sample
			}
		}
	}
	if err != nil {
		return err
	}
	return h.writeStill(w, camera, track, sample)
}

func (h *handler) writeStill(w http.ResponseWriter, camera understudy.CameraID, track understudy.Track, sample *understudy.Sample) error {
	w.Header().Set(captureTime, sample.At.UTC().Format(time.RFC3339Nano))
	kind, body := "image/jpeg", sample.Payload
	if track.Codec != understudy.CodecMJPEG {
		tracks := []understudy.Track{track}
		alone := *sample
		alone.Offset = 0 // there is no other picture that it could wait for
		head, err := fmp4.MarshalHeader(fmp4.Header{Segment: understudy.SegmentID{Camera: camera, Holder: h.Server}, Start: sample.At}, tracks)
		if err != nil {
			return err
		}
		picture, err := fmp4.MarshalFragment(tracks, 1, sample.At, []fmp4.TimedSample{{Sample: &alone, Duration: time.Second}})
		if err != nil {
			return err
		}
		kind, body = "video/mp4", append(head, picture...)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, err := w.Write(body)
	return err
}

// recordedStill returns the last key frame at or before a time.
func (h *handler) recordedStill(ctx context.Context, camera understudy.CameraID, at time.Time) (understudy.Track, *understudy.Sample, error) {
	for _, window := range stillWindows {
		segments, err := h.Library.Segments(ctx, camera, at.Add(-window), at.Add(1), false)
		if err != nil {
			return understudy.Track{}, nil, err
		}
		var last understudy.Segment
		for _, s := range segments {
			if s.Start.After(last.Start) {
				last = s
			}
		}
		if !last.Start.IsZero() {
			return h.keyFrame(ctx, last.ID, at)
		}
	}
	return understudy.Track{}, nil, understudy.Errorf(understudy.CodeNotFound, "nothing of camera %s at or before %s lies on this server; ask for its timeline to learn what does", camera, at.Format(time.RFC3339))
}

// keyFrame returns the last key frame of a segment that is not after at, else its first one.
func (h *handler) keyFrame(ctx context.Context, id understudy.SegmentID, at time.Time) (track understudy.Track, key *understudy.Sample, err error) {
	segment, err := h.Library.OpenSegment(ctx, id)
	if err != nil {
		return track, nil, err
	}
	defer segment.Close()
	_, _, marks, _, err := fmp4.Scan(segment, 1<<62)
	if err != nil {
		return track, nil, err
	}
	n := 0
	for i, m := range marks {
		if m.Key && !m.At.After(at) {
			n = i
		}
	}
	if _, err := segment.Seek(0, io.SeekStart); err != nil {
		return track, nil, err
	}
	reader := fmp4.NewReader(segment)
	fragment, first, err := reader.Find(n)
	if err != nil {
		return track, nil, understudy.Errorf(understudy.CodeInternal, "picture %d of segment %s cannot be read: %w", n, id, err)
	}
	_, tracks, err := reader.Header()
	for _, s := range fragment.Samples {
		if s.Track != understudy.VideoTrack {
			continue
		}
		if first == n {
			return tracks[0], s.Sample, err
		}
		first++
	}
	return track, nil, understudy.Errorf(understudy.CodeInternal, "picture %d of segment %s is not where it was counted", n, id)
}
