package media

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"understudy"
)

// liveAhead is how many segments ahead a playlist may be waited for (RFC 8216bis
// §6.2.5.2): more is a mistake of the player.
const liveAhead = 2

// packager returns what makes the parts of a live camera; nil when the caller
// was sent to the camera's holder.
func (h *handler) packager(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) (*packager, error) {
	hub, ok := h.Library.Live(camera)
	if !ok {
		return nil, h.redirect(w, r, camera)
	}
	return h.packagers.of(packagerKey{camera, !h.muted(r, camera)}, hub), nil
}

// patient bounds how long a request may wait for something live.
func patient(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), 3*liveLongest)
}

// serveLivePlaylist answers with the live playlist, at once or, with _HLS_msn
// and _HLS_part, as soon as it holds that part.
func (h *handler) serveLivePlaylist(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	p, err := h.packager(w, r, camera)
	if p == nil {
		return err
	}
	ready, err := p.awaited(r)
	if err != nil {
		return err
	}
	ctx, cancel := patient(r)
	defer cancel()
	if err := p.wait(ctx, ready); err != nil {
		return liveError(camera, err)
	}
	query := h.pass(r, camera, time.Time{}, time.Time{})
	if !p.sound {
		query.Set("sound", "0")
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	_, err = w.Write([]byte(p.playlist(query)))
	return err
}

// awaited returns the condition that a request for the playlist waits for.
func (p *packager) awaited(r *http.Request) (func() bool, error) {
	query := r.URL.Query()
	// With an ended segment and a part, a player can begin.
	if !query.Has("_HLS_msn") {
		return func() bool { return len(p.runs) > 1 && len(p.runs[len(p.runs)-1].parts) > 0 || len(p.runs) > 2 }, nil
	}
	number, err := strconv.ParseUint(query.Get("_HLS_msn"), 10, 63)
	part := -1
	if err == nil && query.Has("_HLS_part") {
		part, err = queryNumber(r, "_HLS_part")
	}
	p.mu.Lock()
	last := p.first + uint64(max(len(p.runs), 1)) - 1
	p.mu.Unlock()
	if err != nil || number > last+liveAhead {
		return nil, understudy.Errorf(understudy.CodeInvalid, "_HLS_msn is at most %d now, and is %.20q: load the playlist again", last+liveAhead, query.Get("_HLS_msn"))
	}
	return func() bool {
		if number < p.first && len(p.runs) > 0 {
			return true
		}
		if part < 0 {
			return p.ended(number)
		}
		return p.has(number, part)
	}, nil
}

// playlist writes the list; query is what its addresses carry.
func (p *packager) playlist(query url.Values) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	address := func(file string, pairs ...any) string {
		v := url.Values{}
		for k := range query {
			v.Set(k, query.Get(k))
		}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1]))
		}
		return "live/" + file + "?" + v.Encode()
	}
	var b strings.Builder
	target := int(math.Ceil(p.longest.Seconds()))
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:%d\n", target)
	fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%.3f,HOLD-BACK=%d\n", 3*p.target.Seconds(), 3*target)
	fmt.Fprintf(&b, "#EXT-X-PART-INF:PART-TARGET=%.3f\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", p.target.Seconds(), p.first, p.broken)
	// Parts are told of the last three target durations (§4.4.4.9).
	detailed := len(p.runs) - 1
	for lasting := time.Duration(0); detailed > 0 && lasting < 3*p.longest; detailed-- {
		lasting += p.runs[detailed].duration
	}
	init := -1
	for i, run := range p.runs {
		if run.breaks {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if run.init != init {
			init = run.init
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s\"\n", address("init.mp4", "n", init))
		}
		fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", run.start.UTC().Format("2006-01-02T15:04:05.000Z"))
		number := p.first + uint64(i)
		for n, part := range run.parts {
			if i < detailed {
				break
			}
			independent := ""
			if part.independent {
				independent = ",INDEPENDENT=YES"
			}
			fmt.Fprintf(&b, "#EXT-X-PART:DURATION=%.5f,URI=\"%s\"%s\n", part.duration.Seconds(), address("part.m4s", "msn", number, "part", n), independent)
		}
		if i < len(p.runs)-1 {
			fmt.Fprintf(&b, "#EXTINF:%.5f,\n%s\n", run.duration.Seconds(), address("part.m4s", "msn", number))
		} else {
			fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"%s\"\n", address("part.m4s", "msn", number, "part", len(run.parts)))
		}
	}
	return b.String()
}

// serveLiveInit answers with an init segment of the live playlist.
func (h *handler) serveLiveInit(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	n, err := queryNumber(r, "n")
	if err != nil {
		return err
	}
	p, err := h.packager(w, r, camera)
	if p == nil {
		return err
	}
	ctx, cancel := patient(r)
	defer cancel()
	if err := p.wait(ctx, func() bool { return len(p.inits) > 0 }); err != nil {
		return liveError(camera, err)
	}
	p.mu.Lock()
	inits := p.inits
	p.mu.Unlock()
	if n >= len(inits) {
		return understudy.Errorf(understudy.CodeNotFound, "the live playlist of camera %s has no init segment %d: load it again", camera, n)
	}
	w.Header().Set("Content-Type", "video/mp4")
	_, err = w.Write(inits[n])
	return err
}

// serveLivePart answers with a part, once it is there, or with a whole segment.
func (h *handler) serveLivePart(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	number, err := strconv.ParseUint(r.URL.Query().Get("msn"), 10, 63)
	part := -1
	if err == nil && r.URL.Query().Has("part") {
		part, err = queryNumber(r, "part")
	}
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "msn and part are numbers of a live playlist: take the address from it")
	}
	p, err := h.packager(w, r, camera)
	if p == nil {
		return err
	}
	ctx, cancel := patient(r)
	defer cancel()
	var body [][]byte
	err = p.wait(ctx, func() bool {
		last := p.first + uint64(len(p.runs))
		switch {
		case number < p.first || number > last+liveAhead:
			return true // gone, or never there
		case part < 0 && !p.ended(number), part >= 0 && !p.has(number, part):
			return false
		}
		run := p.runs[number-p.first]
		for n, packet := range run.parts {
			if part < 0 || n == part {
				body = append(body, packet.bytes)
			}
		}
		return true
	})
	if err != nil {
		return liveError(camera, err)
	}
	if body == nil {
		return understudy.Errorf(understudy.CodeNotFound, "the live playlist of camera %s has no such part any more: load it again", camera)
	}
	w.Header().Set("Content-Type", "video/iso.segment")
	for _, packet := range body {
		if _, err := w.Write(packet); err != nil {
			return err
		}
	}
	return nil
}
