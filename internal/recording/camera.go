package recording

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/rtsp"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

const (
	// recorderQueue is what waits in memory for one camera while the store makes a
	// new segment. Beyond it whole GOPs are lost, of this camera only.
	recorderQueue = 32 << 20
	// closePatience bounds how long a recorder waits for the disk at its end.
	closePatience = 10 * time.Second
)

// settings are what a session with a camera depends on.
type settings struct {
	url       string
	transport understudy.Transport
	username  string
	password  understudy.Secret
}

func settingsOf(a understudy.AssignedCamera) settings {
	s := settings{url: a.Camera.URL, transport: a.Camera.Transport, username: a.Credentials.Username, password: a.Credentials.Password}
	if s.username == "" {
		s.username = a.Camera.Username
	}
	return s
}

// want is what may change without a new session.
type want struct {
	epoch  uint64
	record bool
}

// camera is one camera as it runs: a source, its hub, and the recorder that reads the hub.
type camera struct {
	id       understudy.CameraID
	settings settings
	store    *storage.Store
	log      *slog.Logger
	hub      *stream.Hub
	source   *rtsp.Source
	progress progress
	want     atomic.Pointer[want]
	fault    atomic.Pointer[string] // of the recorder; nil while it can write

	cancel func()
	after  <-chan struct{} // closed when the predecessor has left the camera; nil if there is none
	silent chan struct{}   // closed when this one has
}

func newCamera(a understudy.AssignedCamera, store *storage.Store, dials *rtsp.Dials, log *slog.Logger) *camera {
	c := &camera{
		id: a.Camera.ID, settings: settingsOf(a), store: store, log: log.With("camera", a.Camera.ID),
		hub: stream.NewHub(), silent: make(chan struct{}),
	}
	c.want.Store(&want{epoch: a.Epoch, record: a.Record})
	c.source = rtsp.NewSource(rtsp.Config{
		URL: c.settings.url, Transport: c.settings.transport,
		Username: c.settings.username, Password: c.settings.password, Dials: dials, Log: c.log,
	}, c.hub)
	c.progress.begin(time.Now(), c.mark())
	return c
}

// run pulls and records until ctx ends.
func (c *camera) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		defer close(c.silent)
		defer c.hub.Close() // the recorder and the viewers get what is left, and then its end
		if c.after != nil {
			<-c.after
		}
		_ = c.source.Run(ctx) // ends only with ctx, and tells its faults itself
	})
	all.Go(func() {
		r := recorder{camera: c}
		r.run()
	})
	all.Wait()
}

func (c *camera) mark() understudy.Watermark { return c.store.Watermark(c.id) }

// setFault keeps the sentence for the state port and logs it when it is new.
func (c *camera) setFault(err error) {
	if err == nil {
		if c.fault.Swap(nil) != nil {
			c.log.Info("the camera is recorded again")
		}
		return
	}
	sentence := err.Error()
	if old := c.fault.Swap(&sentence); old == nil || *old != sentence {
		c.log.Error("the camera is not recorded", "error", err)
	}
}

// recorder writes what a hub publishes, until the hub is closed.
type recorder struct {
	camera  *camera
	tracks  []understudy.Track
	writer  *storage.Writer
	epoch   uint64         // of writer
	closing sync.WaitGroup // at most one old writer
}

// run has no context: the hub is closed when the source has ended, and what came until then is to be written.
func (r *recorder) run() {
	ctx := context.Background()
	defer r.closing.Wait()
	defer r.closeWriter()
	for {
		reader := r.camera.hub.Subscribe(recorderQueue)
		err := r.read(ctx, reader)
		reader.Close()
		if errors.Is(err, io.EOF) {
			return
		}
		r.camera.setFault(err) // cut off: the store took nothing for a whole queue
		r.closeWriter()
	}
}

func (r *recorder) read(ctx context.Context, reader *stream.Reader) error {
	for {
		item, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if item.Tracks != nil {
			r.closeWriter()
			r.tracks = item.Tracks
			continue
		}
		r.take(item.Sample)
	}
}

// take writes one sample. A change of epoch waits for a key frame, so that no
// frame is lost between the two segments.
func (r *recorder) take(s *understudy.Sample) {
	want := *r.camera.want.Load()
	if !want.record {
		r.closeWriter()
		r.camera.setFault(nil)
		return
	}
	if s.Key && s.Track == understudy.VideoTrack && (r.writer == nil || r.epoch != want.epoch) {
		next, err := r.camera.store.NewWriter(r.camera.id, want.epoch, r.tracks)
		r.camera.setFault(err)
		if err == nil {
			r.closeWriter()
			r.writer, r.epoch = next, want.epoch
		}
	}
	if r.writer == nil {
		return
	}
	if err := r.writer.Write(s); err != nil {
		r.camera.setFault(err)
		r.closeWriter()
	}
}

// closeWriter ends the segment beside the recorder, which goes on. A second one
// waits for the first, so that a disk that hangs collects no writers.
func (r *recorder) closeWriter() {
	old := r.writer
	if old == nil {
		return
	}
	r.writer = nil
	r.closing.Wait()
	r.closing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closePatience)
		defer cancel()
		if err := old.Close(ctx); err != nil {
			r.camera.log.Error("a segment was not ended as it should be; what is durable of it stays", "error", err)
		}
	})
}
