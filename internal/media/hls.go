package media

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// serveMaster answers with the ways in which a camera can be played, live or in
// a range, for a player to choose from: with its sound, and, where many players
// cannot play that, without. It is where a player should begin, since it loads
// the playlist below again and again, whose address is good for longer than a token.
func (h *handler) serveMaster(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	list, times := "live.m3u8", url.Values{}
	var from, to time.Time
	var tracks []understudy.Track
	var err error
	if r.URL.Query().Has("from") {
		if from, to, err = timeRange(r, maxPlaylist); err != nil {
			return err
		}
		list = "index.m3u8"
		times = url.Values{"from": {from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}}
		tracks, err = h.firstTracks(r.Context(), camera, from, to)
	} else {
		p, redirected := h.packager(w, r, camera)
		if p == nil {
			return redirected
		}
		ctx, cancel := patient(r)
		defer cancel()
		if err = p.wait(ctx, func() bool { return p.tracks != nil }); err != nil {
			err = liveError(camera, err)
		}
		p.mu.Lock()
		tracks = p.tracks
		p.mu.Unlock()
	}
	if err != nil {
		return err
	}
	if h.muted(r, camera) {
		tracks = tracks[:1]
	}
	carried := h.pass(r, camera, from, to)
	maps.Copy(carried, times)
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n")
	variant := func(tracks []understudy.Track) {
		const usual = 4_000_000 // bits a second; a camera does not say
		size := ""
		if tracks[0].Width > 0 {
			size = fmt.Sprintf(",RESOLUTION=%dx%d", tracks[0].Width, tracks[0].Height)
		}
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,CODECS=%q%s\n%s?%s\n", usual, codecs(tracks), size, list, carried.Encode())
	}
	variant(tracks)
	if len(tracks) > 1 && tracks[1].Codec == understudy.CodecLPCM {
		carried.Set("sound", "0")
		variant(tracks[:1])
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	_, err = w.Write([]byte(b.String()))
	return err
}

// muted reports whether what is answered to a player has no sound, since it is asked
// for so or may not be heard.
func (h *handler) muted(r *http.Request, camera understudy.CameraID) bool {
	return r.URL.Query().Get("sound") == "0" || !h.hears(r, camera)
}

// firstTracks returns the tracks with which a range begins.
func (h *handler) firstTracks(ctx context.Context, camera understudy.CameraID, from, to time.Time) ([]understudy.Track, error) {
	segments, err := h.Library.Segments(ctx, camera, from, to, false)
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return nil, nothing(camera, from, to)
	}
	first := slices.MinFunc(segments, func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) })
	return h.tracks(ctx, first.ID)
}

// partLength is how much of a recording a part of a playlist holds, if there
// are key frames to cut at.
const partLength = 6 * time.Second

// part is a media segment of a playlist (RFC 8216 §3.3).
type part struct {
	understudy.Piece
	breaks bool // its times or its codecs do not continue those of the part before
	init   bool // its codecs are others than before
}

// smoothed is how far apart, or how far into each other, the times of two parts
// may lie without a player being told: what players skip by themselves. Holders
// whose clocks differ by more join with a break.
const smoothed = 100 * time.Millisecond

// servePlaylist answers with a playlist of a range (RFC 8216 §4.3). It says all
// that its parts need, so that nothing is kept here between two requests.
func (h *handler) servePlaylist(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	from, to, err := timeRange(r, maxPlaylist)
	if err != nil {
		return err
	}
	var parts []part
	var tracks []understudy.Track
	for run, err := range h.footage(r.Context(), camera, from, to) {
		if err != nil {
			return err
		}
		before := tracks
		tracks, err = h.tracks(r.Context(), run.Segment)
		if err != nil {
			return err
		}
		next := cut(run)
		next[0].init = !reflect.DeepEqual(tracks, before)
		if n := len(parts); n > 0 {
			next[0].breaks = next[0].init || run.From.Sub(parts[n-1].To).Abs() > smoothed
		}
		parts = append(parts, next...)
	}
	if len(parts) == 0 {
		return nothing(camera, from, to)
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	carried := h.pass(r, camera, from, to)
	if h.muted(r, camera) {
		carried.Set("sound", "0")
	}
	_, err = w.Write([]byte(playlist(parts, carried)))
	return err
}

// cut divides a run at key frames.
func cut(run understudy.Run) []part {
	var parts []part
	for n := range run.Marks {
		m := run.Marks[n]
		if n == 0 || m.Key && m.At.Sub(parts[len(parts)-1].From) >= partLength {
			p := run.Piece
			p.First, p.Count, p.From = run.First+n, 0, m.At
			p.Joined = run.Joined && n == 0
			parts = append(parts, part{Piece: p})
		}
		last := &parts[len(parts)-1]
		last.Count++
		last.To = m.At.Add(m.Duration)
	}
	return parts
}

func playlist(parts []part, carried url.Values) string {
	var b strings.Builder
	longest := time.Second
	for _, p := range parts {
		longest = max(longest, p.To.Sub(p.From))
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n",
		int(math.Ceil(longest.Seconds())))
	query := func(p part) url.Values {
		v := maps.Clone(carried)
		v.Set("segment", p.Segment.String()[len(p.Segment.Camera)+1:])
		return v
	}
	for i, p := range parts {
		if p.breaks {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if p.init {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"init.mp4?%s\"\n", query(p).Encode())
		}
		if i == 0 || p.breaks {
			fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", p.From.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		v := query(p)
		v.Set("first", strconv.Itoa(p.First))
		v.Set("count", strconv.Itoa(p.Count))
		v.Set("number", strconv.Itoa(i+1))
		v.Set("base", parts[0].From.UTC().Format(time.RFC3339Nano))
		fmt.Fprintf(&b, "#EXTINF:%.6f,\npart.m4s?%s\n", p.To.Sub(p.From).Seconds(), v.Encode())
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

func querySegment(r *http.Request, camera understudy.CameraID) (understudy.SegmentID, error) {
	return understudy.ParseSegmentID(string(camera) + "/" + r.URL.Query().Get("segment"))
}

// serveInit answers with the init segment of the parts of a segment.
func (h *handler) serveInit(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	id, err := querySegment(r, camera)
	if err != nil {
		return err
	}
	tracks, err := h.tracks(r.Context(), id)
	if err != nil {
		return err
	}
	if h.muted(r, camera) {
		tracks = tracks[:1]
	}
	init, err := fmp4.MarshalInit(tracks)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "video/mp4")
	_, err = w.Write(init)
	return err
}

func (h *handler) tracks(ctx context.Context, id understudy.SegmentID) ([]understudy.Track, error) {
	segment, err := h.Library.OpenSegment(ctx, id)
	if err != nil {
		return nil, err
	}
	defer segment.Close()
	_, tracks, err := fmp4.NewReader(segment).Header()
	return tracks, err
}

// servePart answers with the fragments of one part.
func (h *handler) servePart(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	id, err := querySegment(r, camera)
	if err != nil {
		return err
	}
	first, err := queryNumber(r, "first")
	if err != nil {
		return err
	}
	count, err := queryNumber(r, "count")
	if err != nil {
		return err
	}
	number, err := queryNumber(r, "number")
	if err != nil {
		return err
	}
	base, err := queryTime(r, "base")
	if err != nil {
		return err
	}
	const fragments = 1 << 10 // of a part; numbers of fragments only have to grow
	w.Header().Set("Content-Type", "video/iso.segment")
	composer := fmp4.NewPartComposer(w, base, uint32(number)*fragments) //nolint:gosec // queryNumber bounds it
	if h.muted(r, camera) {
		composer.Mute()
	}
	use := h.use(r, understudy.ActionPlayback, camera)
	defer use.End()
	err = h.compose(r.Context(), composer, understudy.Piece{Segment: id, First: first, Count: count})
	if from, to := composer.Span(); !from.IsZero() {
		use.Gave(from, to)
	}
	return err
}

func queryNumber(r *http.Request, name string) (int, error) {
	const most = 1 << 20
	text := r.URL.Query().Get(name)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, understudy.Errorf(understudy.CodeInvalid, "%s is a number from 0 to %d, found %.40q; take the address from the playlist", name, most, text)
	}
	return n, nil
}
