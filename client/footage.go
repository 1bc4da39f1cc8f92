package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"understudy"
)

// Bounds of asking many servers. A server that hangs accepts connections and
// never answers: it must cost the others nothing, and a caller seconds at most.
const (
	askAtOnce   = 16
	listTimeout = 4 * time.Second
	peerTimeout = 2 * time.Second  // of a server, which has somebody waiting
	awayFor     = 10 * time.Second // a server that did not answer is asked again after so long
	openTries   = 3                // of each copy, a broken transfer resumed where it broke
	readStall   = 10 * time.Second
	// askHomeAgain is how long answers may take until home is asked once more:
	// it may have got what another deleted after home had answered and before the
	// other did. No copy is deleted so soon after home has it.
	askHomeAgain = 250 * time.Millisecond
)

// footage is what servers of a site hold of one camera, as one
// understudy.RecordingService.
type footage struct {
	client   *Client
	site     func() understudy.Site
	self     understudy.ServerID // is not asked; empty for a client
	patience time.Duration       // for one answer

	mu      sync.Mutex
	away    map[understudy.ServerID]time.Time
	missing map[understudy.ServerID]bool
	empty   map[understudy.ServerID]stretch
	copies  map[understudy.SegmentID][]understudy.ServerID // longest first
}

// stretch is a range of a camera that a server holds nothing of, as of then.
type stretch struct {
	camera       understudy.CameraID
	from, to, at time.Time
}

// maxCopies bounds what is remembered of where segments lie; who has one is asked again.
const maxCopies = 1 << 16

func (c *Client) footage(site understudy.Site) *footage {
	return &footage{
		client: c, patience: listTimeout,
		site:    func() understudy.Site { return site },
		away:    map[understudy.ServerID]time.Time{},
		missing: map[understudy.ServerID]bool{},
		empty:   map[understudy.ServerID]stretch{},
		copies:  map[understudy.SegmentID][]understudy.ServerID{},
	}
}

func (f *footage) home(camera understudy.CameraID) understudy.ServerID {
	known, _ := f.site().Camera(camera)
	return known.Home
}

// servers are those that may hold footage of a camera, by id.
func (f *footage) servers(camera understudy.CameraID) []understudy.ServerID {
	all := f.site().FootageServers(camera)
	delete(all, f.self)
	return slices.Sorted(maps.Keys(all))
}

// answer is what one server says.
type answer[T any] struct {
	server understudy.ServerID
	value  T
	err    error
}

// everywhere asks servers for the same path, some at a time.
func everywhere[T any](ctx context.Context, f *footage, servers []understudy.ServerID, path string) ([]answer[T], error) {
	token, err := f.client.MediaToken(ctx)
	if err != nil {
		return nil, err
	}
	answers := make(chan answer[T], len(servers))
	places := make(chan struct{}, askAtOnce)
	for _, server := range servers {
		go func() {
			places <- struct{}{}
			defer func() { <-places }()
			value, err := list[T](ctx, f, server, path, token)
			answers <- answer[T]{server, value, err}
		}()
	}
	var all []answer[T]
	for range servers {
		all = append(all, <-answers)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// Segments implements understudy.RecordingService: each segment once, its
// longest copy. A server that does not answer is left out and remembered as missing.
func (f *footage) Segments(ctx context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	ask := f.present(camera)
	if marks {
		ask = f.worthAsking(ask, camera, from, to)
	}
	path, begun := segmentsPath(camera, from, to, marks), time.Now()
	answers, err := everywhere[[]understudy.Segment](ctx, f, ask, path)
	if err != nil {
		return nil, err
	}
	if home := f.home(camera); time.Since(begun) > askHomeAgain && len(ask) > 1 && slices.Contains(ask, home) {
		again, err := everywhere[[]understudy.Segment](ctx, f, []understudy.ServerID{home}, path)
		if err != nil {
			return nil, err
		}
		answers = append(answers, again...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range answers {
		if err := heard(f, a); err != nil {
			return nil, err
		}
		if a.err == nil && len(a.value) == 0 && !marks {
			f.empty[a.server] = stretch{camera, from, to, time.Now()}
		}
	}
	return f.gather(answers), nil
}

// Notes implements understudy.NoteService: those of all servers that answer, each once.
func (f *footage) Notes(ctx context.Context, camera understudy.CameraID, from, to time.Time) ([]understudy.Note, error) {
	answers, err := everywhere[[]understudy.Note](ctx, f, f.present(camera), cameraPath(camera, "notes", from, to))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := map[string]understudy.Note{}
	for _, a := range answers {
		if err := heard(f, a); err != nil {
			return nil, err
		}
		for _, n := range a.value {
			if have, ok := newest[n.ID]; !ok || have.To.Before(n.To) {
				newest[n.ID] = n
			}
		}
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b understudy.Note) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID)) }), nil
}

// present returns the servers that are asked of a camera now.
func (f *footage) present(camera understudy.CameraID) []understudy.ServerID {
	servers := f.servers(camera)
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(servers, func(server understudy.ServerID) bool {
		since, away := f.away[server]
		return away && time.Since(since) <= awayFor
	})
}

// worthAsking leaves out who said a moment ago that it holds nothing of a range
// that was over by then. Old footage comes to its home only, which is asked.
func (f *footage) worthAsking(servers []understudy.ServerID, camera understudy.CameraID, from, to time.Time) []understudy.ServerID {
	home := f.home(camera)
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(servers, func(server understudy.ServerID) bool {
		e, ok := f.empty[server]
		return ok && server != home && e.camera == camera && !from.Before(e.from) && !to.After(e.to) &&
			to.Before(e.at.Add(-awayFor)) && time.Since(e.at) < time.Minute
	})
}

// heard notes who answered and who did not, and returns what asking others
// would not change; f.mu is held.
func heard[T any](f *footage, a answer[T]) error {
	switch code := understudy.CodeOf(a.err); {
	case a.err == nil:
		delete(f.away, a.server)
	case code == understudy.CodeForbidden || code == understudy.CodeUnauthenticated || code == understudy.CodeInvalid:
		return a.err
	case code == understudy.CodeNotFound: // it knows no such camera
	default:
		f.lose(a.server)
	}
	return nil
}

// gather returns each segment once, its longest copy; f.mu is held.
func (f *footage) gather(answers []answer[[]understudy.Segment]) []understudy.Segment {
	if len(f.copies) > maxCopies {
		clear(f.copies)
	}
	longest := map[understudy.SegmentID]understudy.Segment{}
	for _, a := range answers {
		for _, s := range a.value {
			have, ok := longest[s.ID]
			if !ok || s.Size > have.Size {
				longest[s.ID] = s
				f.copies[s.ID] = slices.Insert(without(f.copies[s.ID], a.server), 0, a.server)
			} else if !slices.Contains(f.copies[s.ID], a.server) {
				f.copies[s.ID] = append(f.copies[s.ID], a.server)
			}
		}
	}
	return slices.SortedFunc(maps.Values(longest), func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) })
}

func without(servers []understudy.ServerID, server understudy.ServerID) []understudy.ServerID {
	return slices.DeleteFunc(servers, func(s understudy.ServerID) bool { return s == server })
}

// lose notes that a server does not answer; f.mu is held.
func (f *footage) lose(server understudy.ServerID) {
	f.away[server] = time.Now()
	f.missing[server] = true
}

// Missing returns the servers that did not answer at least once.
func (f *footage) Missing() []understudy.ServerID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.missing))
}

func (f *footage) holders(id understudy.SegmentID) []understudy.ServerID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.copies[id])
}

// candidates returns where a segment may lie, the likeliest first: where it was
// seen, at its camera's home, where it was recorded, anywhere. It may have gone
// home, and have been deleted elsewhere, since it was seen.
func (f *footage) candidates(id understudy.SegmentID) []understudy.ServerID {
	present, candidates := f.present(id.Camera), f.holders(id)
	add := func(server understudy.ServerID) {
		if slices.Contains(present, server) && !slices.Contains(candidates, server) {
			candidates = append(candidates, server)
		}
	}
	add(f.home(id.Camera))
	add(id.Holder)
	for _, server := range present {
		add(server)
	}
	return candidates
}

func (f *footage) address(server understudy.ServerID) string {
	addresses, _ := f.site().Addresses(server)
	return addresses.Media
}

func list[T any](ctx context.Context, f *footage, server understudy.ServerID, path string, token understudy.Secret) (value T, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.patience)
	defer cancel()
	response, err := f.client.media(ctx, server, f.address(server), path, token, 0)
	if err != nil {
		return value, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&value); err != nil {
		return value, understudy.Errorf(understudy.CodeUnavailable, "the answer of server %s could not be read: %w", server, err)
	}
	return value, nil
}

// media asks a recording or failover server for path, from offset on.
func (c *Client) media(ctx context.Context, server understudy.ServerID, address, path string, token understudy.Secret, offset int64) (*http.Response, error) {
	for tries := 0; ; tries++ {
		response, err := c.mediaBy(ctx, token, server, address, path, offset)
		if err == nil || understudy.CodeOf(err) != understudy.CodeUnauthenticated || !c.anew(ctx, &token, tries) {
			return response, err
		}
	}
}

func (c *Client) mediaBy(ctx context.Context, token understudy.Secret, server understudy.ServerID, address, path string, offset int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInternal, "a request to server %s could not be made: %w", server, err)
	}
	c.authorize(request, token)
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := c.HTTP(server).Do(request)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "server %s at %s did not answer: %w", server, address, err)
	}
	want := http.StatusOK
	if offset > 0 {
		want = http.StatusPartialContent
	}
	if response.StatusCode != want {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return response, nil
}

// OpenSegment implements understudy.RecordingService. The reader goes on with
// another copy, or another try, where a transfer broke.
func (f *footage) OpenSegment(ctx context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	r := &remote{ctx: ctx, footage: f, id: id}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// remote is a segment that lies on other servers. Copies of one segment are
// the same bytes, so that a read may go on anywhere.
type remote struct {
	ctx     context.Context
	footage *footage
	id      understudy.SegmentID
	at      int64 // of the next byte to read
	body    io.ReadCloser
	server  understudy.ServerID
	watch   *time.Timer
	cancel  context.CancelFunc
}

// open connects at r.at, to whichever copy answers. Everybody is asked some
// times: between two answers a segment may have moved from one to the other.
func (r *remote) open() error {
	r.shut()
	err := error(understudy.Errorf(understudy.CodeNotFound, "no server is known to hold segment %s", r.id))
	failed := map[understudy.ServerID]bool{} // and not just without it
	for range openTries {
		for _, server := range r.footage.candidates(r.id) {
			if r.ctx.Err() != nil {
				return r.ctx.Err()
			}
			if failed[server] && !slices.Contains(r.footage.holders(r.id), server) {
				continue // it is away, and nobody saw the segment there
			}
			tried := r.connect(server)
			if tried == nil {
				return nil
			}
			if understudy.CodeOf(tried) != understudy.CodeNotFound {
				failed[server] = true
				err = tried
			}
		}
	}
	return err
}

func (r *remote) connect(server understudy.ServerID) error {
	token, err := r.footage.client.MediaToken(r.ctx)
	if err != nil {
		return err
	}
	// One timer watches the connection and every read of it.
	ctx, cancel := context.WithCancel(r.ctx)
	watch := time.AfterFunc(r.footage.patience, cancel)
	path := "/v1/segments/" + r.id.String() + ".mp4"
	response, err := r.footage.client.media(ctx, server, r.footage.address(server), path, token, r.at) //nolint:bodyclose // shut closes it
	if err != nil {
		watch.Stop()
		cancel()
		return err
	}
	r.body, r.server, r.watch, r.cancel = response.Body, server, watch, cancel
	return nil
}

func (r *remote) shut() {
	if r.body != nil {
		r.watch.Stop()
		r.cancel()
		r.body.Close()
		r.body = nil
	}
}

// Read implements io.Reader.
func (r *remote) Read(p []byte) (int, error) {
	for try := 0; ; try++ {
		if r.body == nil {
			if err := r.open(); err != nil {
				return 0, err
			}
		}
		r.watch.Reset(readStall)
		n, err := r.body.Read(p)
		r.watch.Stop()
		r.at += int64(n)
		if n > 0 || err == nil || errors.Is(err, io.EOF) || r.ctx.Err() != nil {
			if n > 0 {
				err = nil
			}
			return n, err
		}
		r.shut()
		if try == openTries {
			return 0, understudy.Errorf(understudy.CodeUnavailable, "segment %s broke off at byte %d on server %s: %w", r.id, r.at, r.server, err)
		}
	}
}

// Seek implements io.Seeker, but for io.SeekEnd.
func (r *remote) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		return r.at, errors.ErrUnsupported
	}
	const near = 256 << 10 // cheaper read than asked for
	if skip := offset - r.at; skip > 0 && skip <= near && r.body != nil {
		if _, err := io.CopyN(io.Discard, r, skip); err != nil && !errors.Is(err, io.EOF) {
			return r.at, err
		}
	}
	if offset != r.at {
		r.shut()
		r.at = offset
	}
	return r.at, nil
}

// Close implements io.Closer.
func (r *remote) Close() error {
	r.shut()
	return nil
}

// Segments returns what one server alone holds of a camera. Errors as
// understudy.RecordingService has them, and CodeUnavailable when the server does not answer.
func (c *Client) Segments(ctx context.Context, server understudy.ServerID, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	site, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := site.Addresses(server); !ok {
		return nil, understudy.Errorf(understudy.CodeNotFound, "there is no recording or failover server %s", server)
	}
	token, err := c.MediaToken(ctx)
	if err != nil {
		return nil, err
	}
	return list[[]understudy.Segment](ctx, c.footage(site), server, segmentsPath(camera, from, to, marks), token)
}

func segmentsPath(camera understudy.CameraID, from, to time.Time, marks bool) string {
	path := cameraPath(camera, "segments", from, to)
	if marks {
		path += "&marks=1"
	}
	return path
}

func cameraPath(camera understudy.CameraID, what string, from, to time.Time) string {
	query := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
	return fmt.Sprintf("/v1/cameras/%s/%s?%s", url.PathEscape(string(camera)), what, query.Encode())
}

// Elsewhere returns what the other servers hold, for a server that shows footage
// over all of them: for players that know one address only. site is asked at
// each call, and tells nothing while it is not known. The result is also an
// understudy.NoteService.
func (c *Client) Elsewhere(self understudy.ServerID, site func() (understudy.Site, bool)) interface {
	understudy.RecordingService
	understudy.NoteService
} {
	f := c.footage(understudy.Site{})
	f.patience, f.self = peerTimeout, self
	f.site = func() understudy.Site {
		now, _ := site()
		return now
	}
	return f
}
