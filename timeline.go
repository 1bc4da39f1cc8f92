package understudy

import (
	"context"
	"time"
)

// Piece is a run of samples of one segment, as the timeline plays it.
type Piece struct {
	Segment SegmentID `json:"segment"`
	First   int       `json:"first" doc:"Index of its first video sample in the segment"`
	Count   int       `json:"count"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	// Joined: the first sample follows the last one of the piece before, although
	// another server recorded it; decoding goes on without a key frame.
	Joined bool `json:"joined,omitempty"`
}

// Gap is a hole in a timeline, and why it is there.
type Gap struct {
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	Milliseconds int64     `json:"milliseconds"`
	Cause        GapCause  `json:"cause,omitempty"`
	// Epoch names the incident: the lease under which recording went on after the gap.
	Epoch    uint64 `json:"epoch,omitempty"`
	Sentence string `json:"sentence,omitempty" doc:"Why, for a person"`
}

// Span is a stretch of a timeline that one server recorded without a gap.
type Span struct {
	Holder ServerID  `json:"holder" doc:"Server that recorded it"`
	At     ServerID  `json:"at" doc:"Server where it lies now"`
	Epoch  uint64    `json:"epoch"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Archived: the server reads it from its archive.
	Archived bool `json:"archived,omitempty" doc:"Its bytes lie in that server's archive"`
	// Joined: equal samples prove that it follows the span before without a loss,
	// although another server recorded that.
	Joined bool `json:"joined,omitempty" doc:"Equal samples prove that nothing is missing between it and the span before, which another server recorded"`
}

// Timeline is what is recorded of a camera in a range, over all servers.
type Timeline struct {
	Camera CameraID  `json:"camera"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Spans  []Span    `json:"spans"`
	Gaps   []Gap     `json:"gaps"`
	// Notes are the events of the range, as marks on it, and where the second stream
	// stood in; why gaps are there the gaps say.
	Notes []Note `json:"notes,omitempty"`
	// Missing names servers that may hold footage of the range and did not answer.
	Missing []ServerID `json:"missing,omitempty"`
}

// TimelineService knows the timeline of a camera over all servers.
type TimelineService interface {
	Timeline(ctx context.Context, camera CameraID, from, to time.Time) (Timeline, error)
}

// Gaps returns the holes of more than tolerance between pieces, and at both ends of [from, to).
func Gaps(pieces []Piece, from, to time.Time, tolerance time.Duration) []Gap {
	var gaps []Gap
	at := from
	for _, p := range pieces {
		if p.From.Sub(at) > tolerance {
			gaps = append(gaps, newGap(at, p.From))
		}
		if p.To.After(at) {
			at = p.To
		}
	}
	if to.Sub(at) > tolerance {
		gaps = append(gaps, newGap(at, to))
	}
	return gaps
}

func newGap(from, to time.Time) Gap {
	return Gap{From: from, To: to, Milliseconds: to.Sub(from).Milliseconds()}
}
