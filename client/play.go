package client

import (
	"context"
	"io"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// Play writes the live picture of a camera to w, for a player, as one MP4 that
// goes on across failovers, until ctx ends or w fails. Sound and picture are
// those that the camera began with. CodeConflict when its coding changes.
func (c *Client) Play(ctx context.Context, camera understudy.CameraID, w io.Writer) error {
	p := player{w: w, last: map[int]fmp4.TimedSample{}}
	return c.Live(ctx, camera, p.play)
}

// player makes one stream of the sessions of several servers.
type player struct {
	w        io.Writer
	tracks   []understudy.Track
	waiting  bool // for a session's first key sample
	base     time.Time
	last     map[int]fmp4.TimedSample
	sequence uint32
}

func (p *player) play(e LiveEvent) error {
	if e.Tracks != nil {
		return p.session(e.Tracks)
	}
	s := e.Sample
	if s.Track > len(p.tracks) {
		return nil
	}
	if p.waiting {
		if s.Track != understudy.VideoTrack || !s.Key {
			return nil
		}
		p.waiting = false
		if p.sequence == 0 {
			p.base = s.At
		}
	}
	last, ok := p.last[s.Track]
	if s.At.Before(p.base) || ok && !s.At.After(last.At) {
		return nil // another server's copy of what was played already
	}
	timed := fmp4.TimedSample{Sample: s, Duration: 40 * time.Millisecond} // until the next one tells
	if ok {
		timed.Duration = min(s.At.Sub(last.At), time.Second)
	}
	p.last[s.Track] = timed
	p.sequence++
	fragment, err := fmp4.MarshalFragment(p.tracks, p.sequence, p.base, []fmp4.TimedSample{timed})
	if err != nil {
		return err
	}
	_, err = p.w.Write(fragment)
	return err
}

// session begins another source session: its codecs must be those of the first.
func (p *player) session(tracks []understudy.Track) error {
	p.waiting = true
	if p.tracks == nil {
		p.tracks = tracks
		init, err := fmp4.MarshalInit(tracks)
		if err != nil {
			return err
		}
		_, err = p.w.Write(init)
		return err
	}
	for i, t := range p.tracks {
		if i < len(tracks) && tracks[i].Codec != t.Codec {
			return understudy.Errorf(understudy.CodeConflict, "the camera changed from %s to %s: play it again", t.Codec, tracks[i].Codec)
		}
	}
	return nil
}
