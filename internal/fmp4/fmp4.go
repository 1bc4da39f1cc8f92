// Package fmp4 is the form of footage on disk and on the wire: fragmented MP4
// (ISO/IEC 14496-12 §8.8) with two private boxes, one that says which segment a
// file is, and one in each fragment with capture times, sample hashes and a
// checksum. Bytes in, bytes out; design/storage.md has the layout.
package fmp4

import (
	"time"

	"understudy"
)

// Header says which segment a file is.
type Header struct {
	Segment understudy.SegmentID
	// Start is the capture time of the first video sample; decode times count from it.
	Start time.Time
}

// TimedSample is a sample whose duration is known.
type TimedSample struct {
	*understudy.Sample
	Duration time.Duration
	unread   int // bytes of a payload that was passed over
}

// bytes is the size of the payload, be it here or not.
func (s TimedSample) bytes() int { return len(s.Payload) + s.unread }

// End is the capture time plus the duration.
func (s TimedSample) End() time.Time { return s.At.Add(s.Duration) }

// Fragment is one moof and its mdat, as read from a segment.
type Fragment struct {
	Sequence uint32
	Offset   int64 // of its first byte in the segment
	Size     int   // bytes
	// Samples in the order of the file: those of the first track, then those of
	// the second. They share one buffer.
	Samples []TimedSample
}
