package fmp4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"understudy"
)

// contiguous is how far apart two pieces may be whose sound goes on across the seam.
const contiguous = 500 * time.Millisecond

// Composer makes one continuous file of pieces of segments, of any holders.
// Fragments keep their payloads, capture times and hashes; only their decode
// times and numbers are new. One is cut only where a piece begins or ends in it.
//
// Gaps between pieces stay gaps in time. A joined piece follows the sample
// before it exactly, whatever the two holders' clocks said.
type Composer struct {
	w        io.Writer
	whole    bool               // a file of its own, with a header
	tracks   []understudy.Track // of the first piece
	sequence uint32             // of the last fragment
	base     time.Time          // decode time 0; zero until it is known
	holder   understudy.ServerID
	shift    time.Duration // added to the capture times of this piece
	videoEnd time.Time     // end of what is written, shift included
	audioEnd time.Time
}

// NewComposer returns a Composer that writes a whole file to w: a header as a
// segment has it, then fragments whose time 0 is the first sample of the first
// piece. A Reader reads it like a segment; its header names the first piece's
// segment with the sequence 0, which no segment has.
func NewComposer(w io.Writer) *Composer { return &Composer{w: w, whole: true} }

// NewPartComposer returns a Composer that writes media fragments only (no
// init), numbered from sequence, with times that count from base: a part of a playlist.
func NewPartComposer(w io.Writer, base time.Time, sequence uint32) *Composer {
	return &Composer{w: w, base: base, sequence: sequence - 1}
}

// Add appends a piece, read from its segment, which must stand at its
// beginning. CodeConflict if its codecs are not those of the pieces before, or
// the segment does not hold the piece; errors of reading and writing are
// returned as they are.
func (c *Composer) Add(segment io.ReadSeeker, piece understudy.Piece) error {
	r := NewReader(segment)
	_, tracks, err := r.Header()
	if err != nil {
		return err
	}
	if err := c.begin(tracks); err != nil {
		return err
	}
	first, end := piece.First, piece.First+piece.Count // counted from the next fragment's first video sample
	for placed := false; end > 0; {
		m, b, err := r.nextMoof()
		if err != nil {
			return lacking(err, piece, end)
		}
		n := len(m.marks())
		if n <= first {
			if err := r.skip(m, b); err != nil {
				return lacking(err, piece, end)
			}
		} else {
			f, err := r.payloads(m, b)
			if err != nil {
				return lacking(err, piece, end)
			}
			from := time.Time{}
			if !placed {
				from = c.place(piece, videoSample(f.Samples, max(first, 0)).At)
				placed = true
				if err := c.head(piece.Segment); err != nil {
					return err
				}
			}
			if err := c.write(cut(f.Samples, first, end, from)); err != nil {
				return err
			}
		}
		first, end = first-n, end-n
	}
	return nil
}

func lacking(err error, piece understudy.Piece, left int) error {
	if errors.Is(err, io.EOF) {
		return understudy.Errorf(understudy.CodeConflict,
			"segment %s should hold %d samples from number %d on, and ends %d too early", piece.Segment, piece.Count, piece.First, left)
	}
	return err
}

// begin takes the tracks of the first piece and compares the later ones' with them.
func (c *Composer) begin(tracks []understudy.Track) error {
	if c.tracks != nil {
		return c.compare(tracks)
	}
	c.tracks = tracks
	return nil
}

// head writes the header of a whole file, once.
func (c *Composer) head(first understudy.SegmentID) error {
	if !c.whole {
		return nil
	}
	c.whole = false
	first.Sequence = 0
	b, err := MarshalHeader(Header{Segment: first, Start: c.base}, c.tracks)
	if err != nil {
		return err
	}
	_, err = c.w.Write(b)
	return err
}

// compare refuses tracks that the file's sample entries do not describe. Other
// parameter sets of the same picture size are in band; sound that the file was
// not begun with is left out.
func (c *Composer) compare(tracks []understudy.Track) error {
	for i, t := range tracks[:min(len(tracks), len(c.tracks))] {
		was := c.tracks[i]
		if was.Codec != t.Codec || describe(was) != describe(t) || !bytes.Equal(was.Config, t.Config) {
			return understudy.Errorf(understudy.CodeConflict,
				"the camera changes from %s to %s, which one file cannot hold: begin another one there", describe(was), describe(t))
		}
	}
	return nil
}

// describe names what a file's sample entry fixes for good.
func describe(t understudy.Track) string {
	if !t.Codec.Video() {
		return fmt.Sprintf("%s at %d Hz with %d channels", t.Codec, t.SampleRate, t.Channels)
	}
	width, height := t.Width, t.Height
	switch t.Codec {
	case understudy.CodecH264:
		var sps h264.SPS
		if sps.Unmarshal(t.SPS) == nil {
			width, height = sps.Width(), sps.Height()
		}
	case understudy.CodecH265:
		var sps h265.SPS
		if sps.Unmarshal(t.SPS) == nil {
			width, height = sps.Width(), sps.Height()
		}
	}
	return fmt.Sprintf("%s of %d x %d", t.Codec, width, height)
}

// place decides where a piece whose first sample was captured at first goes,
// and returns from when on its sound belongs to it.
func (c *Composer) place(piece understudy.Piece, first time.Time) (from time.Time) {
	sameHolder := c.holder == piece.Segment.Holder
	c.holder = piece.Segment.Holder
	if c.base.IsZero() {
		c.base = first
	}
	if c.videoEnd.IsZero() {
		return first
	}
	if !sameHolder {
		c.shift = 0
	}
	if at := first.Add(c.shift); piece.Joined || at.Before(c.videoEnd) {
		c.shift = c.videoEnd.Sub(first)
	}
	if first.Add(c.shift).Sub(c.videoEnd) <= contiguous {
		return time.Time{} // sound goes on where it ended
	}
	return first
}

func videoSample(samples []TimedSample, n int) TimedSample {
	for _, s := range samples {
		if s.Track == understudy.VideoTrack {
			if n == 0 {
				return s
			}
			n--
		}
	}
	return TimedSample{}
}

// cut returns the video samples numbered first to end, and the sound from then
// on; in the fragment where the piece ends, the sound until the picture's end.
func cut(samples []TimedSample, first, end int, from time.Time) []TimedSample {
	var kept []TimedSample
	video, to := 0, time.Time{}
	for _, s := range samples {
		switch {
		case s.Track == understudy.VideoTrack:
			if video >= first && video < end {
				kept = append(kept, s)
				to = s.End()
			}
			video++
		case s.At.Before(from) || video >= end && !s.At.Before(to):
		default:
			kept = append(kept, s)
		}
	}
	return kept
}

// write writes one fragment of samples, sound that would overlap left out.
func (c *Composer) write(samples []TimedSample) error {
	kept := samples[:0]
	for _, s := range samples {
		end := s.End().Add(c.shift)
		if s.Track == understudy.VideoTrack {
			c.videoEnd = end
		} else {
			middle := s.At.Add(c.shift + s.Duration/2)
			if len(c.tracks) < s.Track || !middle.After(c.audioEnd) {
				continue
			}
			c.audioEnd = end
		}
		kept = append(kept, s)
	}
	if len(kept) == 0 {
		return nil
	}
	c.sequence++
	b, err := MarshalFragment(c.tracks, c.sequence, c.base.Add(-c.shift), kept)
	if err != nil {
		return err
	}
	_, err = c.w.Write(b)
	return err
}
