package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/media"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

// seeks goes to seconds of the minutes that have their bytes, none of which is
// in memory, nor where their fragments are, and reads the key frame there.
func (b *timelineBench) seeks(ctx context.Context) error {
	b.Say("seeking")
	footage, err := filesBelow(filepath.Join(b.dir, "cameras", string(benchCamera(0))))
	if err != nil {
		return err
	}
	footage = slices.DeleteFunc(footage, func(f file) bool { return filepath.Ext(f.name) != ".mp4" })
	index, err := b.indexOf(benchCamera(0), b.to)
	if err != nil {
		return err
	}
	var times, floor []time.Duration
	for n := range realMinutes { // each in a segment that was not looked at before
		if err := forget(slices.Concat(index, footage)); err != nil {
			return err
		}
		at := b.to.Add(time.Duration(n)*time.Minute + time.Duration(5+b.random.IntN(50))*time.Second)
		began := time.Now()
		if err := b.seek(ctx, at); err != nil {
			return err
		}
		times = append(times, time.Since(began))
		if err := forget(footage); err != nil {
			return err
		}
		took, err := readOnce(footage[n%len(footage)])
		if err != nil {
			return err
		}
		floor = append(floor, took)
	}
	b.result.Seek, b.result.SeekFloor = spreadOf(times), spreadOf(floor)
	return nil
}

// seek reads the key frame at or before a time, as playback does.
func (b *timelineBench) seek(ctx context.Context, at time.Time) error {
	for run, err := range understudy.Footage(ctx, b.store, benchServer, benchCamera(0), at, at.Add(time.Second)) {
		if err != nil {
			return err
		}
		r, err := b.store.OpenSegment(ctx, run.Segment)
		if err != nil {
			return err
		}
		defer r.Close()
		piece := run.Piece
		piece.Count = 1
		return fmp4.NewComposer(io.Discard).Add(r, piece)
	}
	return understudy.Errorf(understudy.CodeInternal, "there is nothing at %s, where footage was made", at)
}

// readOnce reads as much as a fragment in the middle of a file.
func readOnce(f file) (time.Duration, error) {
	began := time.Now()
	open, err := os.Open(f.name)
	if err != nil {
		return 0, err
	}
	defer open.Close()
	_, err = open.ReadAt(make([]byte, fragmentSize*frameBytes), f.size/2)
	return time.Since(began), err
}

// exports asks for ten minutes over HTTP and waits for the first byte.
func (b *timelineBench) exports(ctx context.Context) error {
	b.Say("exporting")
	listener, err := listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: media.New(media.Config{Server: benchServer, Library: shelf{b.store}}), ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	defer func() {
		_ = server.Close()
		<-served
	}()
	var times []time.Duration
	client := &http.Client{Timeout: time.Minute}
	for n := range realMinutes - 10 {
		from := b.to.Add(time.Duration(n)*time.Minute + 30*time.Second)
		took, err := firstByte(ctx, client, fmt.Sprintf("http://%s/v1/cameras/%s/export.mp4?from=%s&to=%s", listener.Addr(), benchCamera(0),
			url.QueryEscape(from.Format(time.RFC3339Nano)), url.QueryEscape(from.Add(10*time.Minute).Format(time.RFC3339Nano))))
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	b.result.FirstByte = spreadOf(times)
	return nil
}

func firstByte(ctx context.Context, client *http.Client, address string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return 0, understudy.Errorf(understudy.CodeInternal, "an export was answered with %s: %s", response.Status, said)
	}
	_, err = io.ReadFull(response.Body, make([]byte, 1))
	return time.Since(began), err
}

// shelf shows a store to whoever asks.
type shelf struct{ *storage.Store }

func (shelf) Authorize(string, understudy.Action, understudy.CameraID) (understudy.Identity, error) {
	return understudy.Identity{}, nil
}
func (shelf) WhileGood(ctx context.Context, _ understudy.Identity) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
func (shelf) Live(understudy.CameraID) (*stream.Hub, bool) { return nil, false }
func (shelf) Redirect(understudy.CameraID) (string, bool)  { return "", false }
func (shelf) Trigger(understudy.Trigger) (bool, error)     { return false, nil }
func (shelf) Home(understudy.CameraID) understudy.ServerID { return benchServer }
func (shelf) Epoch(understudy.CameraID) uint64             { return 0 }
func (s shelf) Here() media.Shelf                          { return s.Store }
