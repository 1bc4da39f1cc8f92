package fmp4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
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
// Gaps between pieces stay gaps in time, of a whole number of frames where the
// camera has a steady pace. A joined piece follows the sample before it exactly,
// whatever the two holders' clocks said.
type Composer struct {
	w     io.Writer
	whole bool      // a file of its own, whose header is still to be written
	from  time.Time // of what was written, by capture times
	to    time.Time
	course
}

// course is how far a composition has come: a copy of it, taken between two
// pieces, goes on alike.
type course struct {
	tracks   []understudy.Track // of the first piece
	sequence uint32             // of the last fragment
	base     time.Time          // decode time 0; zero until it is known
	mute     bool               // sound is left out
	holder   understudy.ServerID
	clock    time.Duration // of the piece's holder, as hashes proved it, to be added to its capture times
	shift    time.Duration // added to the capture times of this piece: clock, and the step to a frame's place
	pace     pace          // of the video so far
	late     time.Duration // of shift, what frames that came too close moved those behind them
	videoAt  time.Time     // of the last picture, shift included
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
	return &Composer{w: w, course: course{base: base, sequence: sequence - 1}}
}

// Mute leaves out the sound; it is called before the first piece.
func (c *Composer) Mute() { c.mute = true }

// Add appends a piece, read from its segment, which must stand at its
// beginning. CodeConflict if its codecs are not those of the pieces before, or
// the segment does not hold the piece; errors of reading and writing are
// returned as they are.
func (c *Composer) Add(segment io.ReadSeeker, piece understudy.Piece) error {
	adding, err := c.take(segment, piece, true)
	if err != nil {
		return err
	}
	for {
		samples, err := adding.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.head(piece.Segment)
		}
		if err == nil && len(samples) > 0 {
			err = c.write(samples)
		}
		if err != nil {
			return err
		}
	}
}

// adding takes a piece from its segment, a fragment at a time.
type adding struct {
	course   *course
	reader   *Reader
	piece    understudy.Piece
	payloads bool // read, or only passed over
	first    int  // of the piece, counted from the next fragment's first video sample
	end      int
	placed   bool
	rest     []TimedSample // of a fragment that is cut in two
}

// take begins to add a piece. Without payloads it tells only sizes.
func (c *course) take(segment io.ReadSeeker, piece understudy.Piece, payloads bool) (*adding, error) {
	r := NewReader(segment)
	_, tracks, err := r.Header()
	if err != nil {
		return nil, err
	}
	if err := c.begin(tracks); err != nil {
		return nil, err
	}
	return &adding{course: c, reader: r, piece: piece, payloads: payloads, first: piece.First, end: piece.First + piece.Count}, nil
}

// next returns the samples of the composed file's next fragment, none where
// nothing of it belongs there; io.EOF when the piece is whole.
func (a *adding) next() ([]TimedSample, error) {
	if len(a.rest) > 0 {
		return a.spread(a.rest), nil
	}
	for a.end > 0 {
		m, b, err := a.nextMoof()
		if err != nil {
			return nil, lacking(err, a.piece, a.end)
		}
		if header, tracks, err := a.reader.Header(); err == nil && header.Segment.Sequence == 0 {
			m.retime(header.Start, tracks) // it is composed: several clocks are one already
		}
		samples, n := m.samples, m.pictures()
		wanted := n > a.first
		if wanted && a.payloads {
			_, err = a.reader.payloads(m, b)
		} else {
			err = a.reader.skip(m, b)
		}
		if err != nil {
			return nil, lacking(err, a.piece, a.end)
		}
		if !a.payloads {
			for i, size := range m.sizes {
				samples[i].unread = size
			}
		}
		first, end := a.first, a.end
		a.first, a.end = a.first-n, a.end-n
		if !wanted {
			continue
		}
		from := time.Time{}
		if !a.placed {
			from = a.course.place(a.piece, videoSample(samples, max(first, 0)).At)
			a.placed = true
		}
		return a.spread(cut(samples, first, end, from)), nil
	}
	return nil, io.EOF
}

// nextMoof goes to the fragment where the piece begins, as directly as it can,
// and from there on to the next one.
func (a *adding) nextMoof() (moof, []byte, error) {
	if a.first <= 0 {
		return a.reader.nextMoof()
	}
	before := a.reader.passed
	m, b, err := a.reader.moofTo(before + a.first)
	passed := a.reader.passed - before
	a.first, a.end = a.first-passed, a.end-passed
	return m, b, err
}

// spread takes from samples what is written with one shift. A picture that comes
// much too close behind the one before, as the first ones of a session do before
// the camera's clock is known, begins another fragment and moves, with those
// behind it, to a whole distance; a long step takes that back.
func (a *adding) spread(samples []TimedSample) []TimedSample {
	c, distance := a.course, a.course.pace.distance()
	a.rest = nil
	at, first := c.videoAt, true
	for _, s := range samples {
		if s.Track != understudy.VideoTrack {
			continue
		}
		if move := c.move(s.At.Add(c.shift).Sub(at), distance); move != 0 && !at.IsZero() && distance > 0 {
			if !first {
				var now []TimedSample
				now, a.rest = split(samples, s.At)
				return c.keep(now)
			}
			c.shift += move
			c.late += move
		}
		at, first = s.At.Add(c.shift), false
	}
	return c.keep(samples)
}

// move returns by how much a picture moves that comes a step behind the one before.
func (c *course) move(step, distance time.Duration) time.Duration {
	switch {
	case step < distance*3/4:
		return distance - step
	case step > distance*5/4 && c.late > 0:
		return -min(c.late, step-distance)
	}
	return 0
}

// split divides samples into those before a time and those from then on.
func split(samples []TimedSample, at time.Time) (before, after []TimedSample) {
	for _, s := range samples {
		if s.At.Before(at) {
			before = append(before, s)
		} else {
			after = append(after, s)
		}
	}
	return before, after
}

func lacking(err error, piece understudy.Piece, left int) error {
	if errors.Is(err, io.EOF) {
		return understudy.Errorf(understudy.CodeConflict,
			"segment %s should hold %d samples from number %d on, and ends %d too early", piece.Segment, piece.Count, piece.First, left)
	}
	return err
}

// begin takes the tracks of the first piece and compares the later ones' with them.
func (c *course) begin(tracks []understudy.Track) error {
	if c.mute {
		tracks = slices.DeleteFunc(slices.Clone(tracks), func(t understudy.Track) bool { return !t.Codec.Video() })
	}
	if c.tracks != nil {
		return c.compare(tracks)
	}
	c.tracks = tracks
	return nil
}

// Span returns the capture times from which to which was written; zero while nothing is.
func (c *Composer) Span() (from, to time.Time) { return c.from, c.to }

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
func (c *course) compare(tracks []understudy.Track) error {
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
func (c *course) place(piece understudy.Piece, first time.Time) (from time.Time) {
	sameHolder := c.holder == piece.Segment.Holder
	c.holder = piece.Segment.Holder
	if c.base.IsZero() {
		c.base = first
	}
	if c.videoEnd.IsZero() {
		return first
	}
	if !sameHolder {
		c.clock, c.shift, c.late = 0, 0, 0
	}
	switch apart := first.Add(c.shift).Sub(c.videoEnd); {
	case piece.Joined || first.Add(c.clock).Before(c.videoEnd) && apart != 0:
		c.clock = c.videoEnd.Sub(first)
		c.shift, c.late = c.clock, 0
	case !sameHolder || apart.Abs() > follows:
		at := first.Add(c.clock)
		c.late = 0
		c.shift = c.clock + c.pace.place(at.Sub(c.base), c.videoEnd.Sub(c.base)) - at.Sub(c.base)
	}
	if first.Add(c.shift).Sub(c.videoEnd) <= contiguous {
		return time.Time{} // sound goes on where it ended
	}
	return first
}

// follows is how far apart two pieces of one holder may be that belong together.
const follows = time.Millisecond

// pace is how fast pictures come: players that count in frames expect each at a
// multiple of one distance from the first.
type pace struct {
	last   [15]time.Duration // durations, of which the middle one is usual
	seen   int
	sum    time.Duration // of the usual ones
	frames int
}

// add takes in the duration of a picture.
func (p *pace) add(d time.Duration) {
	p.last[p.seen%len(p.last)] = d
	p.seen++
	sorted := p.last
	some := sorted[:min(p.seen, len(p.last))]
	slices.Sort(some)
	if usual := some[len(some)/2]; (d - usual).Abs() <= usual/2 {
		p.sum += d
		p.frames++
	}
}

// distance is that between two pictures, of a usual number of pictures a second;
// 0 when there is none.
func (p *pace) distance() time.Duration {
	const enough = 5
	if p.frames < enough {
		return 0
	}
	mean := p.sum / time.Duration(p.frames)
	rate := (time.Second + mean/2) / max(mean, 1)
	if rate < 1 {
		return 0
	}
	whole := time.Second / rate
	broadcast := whole * 1001 / 1000 // 29.97 and its kin
	best := whole
	if (mean - broadcast).Abs() < (mean - whole).Abs() {
		best = broadcast
	}
	if (mean - best).Abs() > best/50 {
		return 0
	}
	return best
}

// place returns the place nearest to at, both counted from the first picture, at
// which a frame is expected, and that is not before end. Else the frames behind a
// hole would come half way between two places, and two that are a
// little close would have the same. A piece moves by half a distance at most.
func (p *pace) place(at, end time.Duration) time.Duration {
	distance := p.distance()
	if distance == 0 {
		return at
	}
	place := (at + distance/2) / distance * distance
	for place < end-distance/2 {
		place += distance
	}
	return place
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

// keep leaves out sound that would overlap, and notes how far the rest comes.
func (c *course) keep(samples []TimedSample) []TimedSample {
	kept := samples[:0]
	for _, s := range samples {
		end := s.End().Add(c.shift)
		if s.Track == understudy.VideoTrack {
			c.videoAt, c.videoEnd = s.At.Add(c.shift), end
			c.pace.add(s.Duration)
		} else {
			middle := s.At.Add(c.shift + s.Duration/2)
			if c.mute || len(c.tracks) < s.Track || s.At.Add(c.shift).Before(c.base) || !middle.After(c.audioEnd) {
				continue
			}
			c.audioEnd = end
		}
		kept = append(kept, s)
	}
	if len(kept) > 0 {
		c.sequence++
	}
	return kept
}

// start is the time that decode times of the piece count from.
func (c *course) start() time.Time { return c.base.Add(-c.shift) }

func (c *Composer) write(samples []TimedSample) error {
	if c.from.IsZero() {
		c.from = samples[0].At
	}
	c.to = samples[len(samples)-1].End()
	b, err := MarshalFragment(c.tracks, c.sequence, c.start(), samples)
	if err != nil {
		return err
	}
	_, err = c.w.Write(b)
	return err
}
