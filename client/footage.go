package client

import (
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
	awayFor     = 10 * time.Second // a server that did not answer is asked again after so long
	openTries   = 3                // of each copy, a broken transfer resumed where it broke
	readStall   = 10 * time.Second
)

// footage is what all servers of a site hold of one camera, as one
// understudy.RecordingService.
type footage struct {
	client  *Client
	servers map[understudy.ServerID]understudy.Addresses

	mu      sync.Mutex
	away    map[understudy.ServerID]time.Time
	missing map[understudy.ServerID]bool
	copies  map[understudy.SegmentID][]understudy.ServerID // longest first
}

func (c *Client) footage(site understudy.Site) *footage {
	return &footage{
		client: c, servers: site.MediaServers(),
		away:    map[understudy.ServerID]time.Time{},
		missing: map[understudy.ServerID]bool{},
		copies:  map[understudy.SegmentID][]understudy.ServerID{},
	}
}

// answer is what one server has of a range.
type answer struct {
	server   understudy.ServerID
	segments []understudy.Segment
	err      error
}

// Segments implements understudy.RecordingService: each segment once, its
// longest copy. A server that does not answer is left out and remembered as missing.
func (f *footage) Segments(ctx context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	token, err := f.client.MediaToken(ctx)
	if err != nil {
		return nil, err
	}
	path := segmentsPath(camera, from, to, marks)
	ask := f.present()
	answers := make(chan answer, len(ask))
	places := make(chan struct{}, askAtOnce)
	for _, server := range ask {
		go func() {
			places <- struct{}{}
			defer func() { <-places }()
			segments, err := f.list(ctx, server, path, token)
			answers <- answer{server, segments, err}
		}()
	}
	var all []answer
	for range ask {
		all = append(all, <-answers)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.gather(all)
}

// present returns the servers that are asked now.
func (f *footage) present() []understudy.ServerID {
	f.mu.Lock()
	defer f.mu.Unlock()
	var present []understudy.ServerID
	for server := range f.servers {
		if since, ok := f.away[server]; !ok || time.Since(since) > awayFor {
			present = append(present, server)
		}
	}
	return present
}

func (f *footage) gather(answers []answer) ([]understudy.Segment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	longest := map[understudy.SegmentID]understudy.Segment{}
	for _, a := range answers {
		switch code := understudy.CodeOf(a.err); {
		case a.err == nil:
			delete(f.away, a.server)
		case code == understudy.CodeForbidden || code == understudy.CodeUnauthenticated || code == understudy.CodeInvalid:
			return nil, a.err // asking others changes nothing
		case code == understudy.CodeNotFound: // it knows no such camera
		default:
			f.lose(a.server)
		}
		for _, s := range a.segments {
			have, ok := longest[s.ID]
			if !ok || s.Size > have.Size {
				longest[s.ID] = s
				f.copies[s.ID] = slices.Insert(without(f.copies[s.ID], a.server), 0, a.server)
			} else if !slices.Contains(f.copies[s.ID], a.server) {
				f.copies[s.ID] = append(f.copies[s.ID], a.server)
			}
		}
	}
	return slices.SortedFunc(maps.Values(longest), func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) }), nil
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

func (f *footage) list(ctx context.Context, server understudy.ServerID, path string, token understudy.Secret) ([]understudy.Segment, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	response, err := f.client.media(ctx, server, f.servers[server].Media, path, token, 0)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var segments []understudy.Segment
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&segments); err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the answer of server %s could not be read: %w", server, err)
	}
	return segments, nil
}

// media asks a recording or failover server for path, from offset on.
func (c *Client) media(ctx context.Context, server understudy.ServerID, address, path string, token understudy.Secret, offset int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInternal, "a request to server %s could not be made: %w", server, err)
	}
	authorize(request, token)
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

// open connects at r.at, to whichever copy answers.
func (r *remote) open() error {
	r.shut()
	holders := r.footage.holders(r.id)
	err := error(understudy.Errorf(understudy.CodeNotFound, "no server is known to hold segment %s", r.id))
	for try := range openTries * len(holders) {
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		if err = r.connect(holders[try%len(holders)]); err == nil {
			return nil
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
	watch := time.AfterFunc(listTimeout, cancel)
	path := "/v1/segments/" + r.id.String() + ".mp4"
	response, err := r.footage.client.media(ctx, server, r.footage.servers[server].Media, path, token, r.at) //nolint:bodyclose // shut closes it
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
	site, err := c.known(ctx)
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
	return c.footage(site).list(ctx, server, segmentsPath(camera, from, to, marks), token)
}

func segmentsPath(camera understudy.CameraID, from, to time.Time, marks bool) string {
	query := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
	if marks {
		query.Set("marks", "1")
	}
	return fmt.Sprintf("/v1/cameras/%s/segments?%s", url.PathEscape(string(camera)), query.Encode())
}
