package recording

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"understudy"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

// recorder writes what a hub publishes, as the camera's rule says, until the
// hub is closed.
type recorder struct {
	camera  *camera
	tracks  []understudy.Track
	writer  *storage.Writer
	epoch   uint64         // of writer
	closing sync.WaitGroup // at most one old writer

	onEvents bool // as the rule was when the last sample came
	mirrors  bool // as it was wanted then: another server records the camera
	// Of a camera whose samples wait in memory, for an event or for another server.
	writing bool            // they are written: an event is being recorded, or they did not fit
	spilled bool            // they did not fit
	horizon time.Time       // of what is drained: the newest of it
	news    context.Context // ends when an event was told
}

// run has no context: the hub is closed when the source has ended, and what came until then is to be written.
func (r *recorder) run() {
	defer r.camera.gaps.ended()
	defer r.closing.Wait()
	defer r.closeWriter()
	defer r.listen(context.Background())()
	defer r.camera.preroll.drop()
	for {
		reader := r.camera.hub.SubscribeLazily(recorderQueue, recorderBatch)
		err := r.read(reader)
		reader.Close()
		if errors.Is(err, io.EOF) {
			return
		}
		r.camera.setFault(err) // cut off: the store took nothing for a whole queue
		r.camera.gaps.failed(understudy.GapDisk, "the store took nothing for a whole queue: "+err.Error())
		r.begin(nil)
	}
}

// listen makes r.news end with the next event.
func (r *recorder) listen(ctx context.Context) (stop func()) {
	var wake context.CancelFunc
	r.news, wake = context.WithCancel(ctx)
	r.camera.occasions.onNews(wake)
	return wake
}

func (r *recorder) read(reader *stream.Reader) error {
	for {
		item, err := reader.Next(r.news)
		switch {
		case errors.Is(err, context.Canceled):
			r.listen(context.Background())
			r.look(*r.camera.want.Load())
		case err != nil:
			return err
		case item.Tracks != nil:
			r.begin(item.Tracks)
		default:
			r.take(item.Sample)
		}
	}
}

// begin is a new session: what comes does not follow what came before.
func (r *recorder) begin(tracks []understudy.Track) {
	r.camera.runs.Add(1)
	if r.mirrors && !r.writing { // the other server may fail before it has come to the new session
		r.save(*r.camera.want.Load())
	}
	r.closeWriter()
	if tracks != nil {
		r.tracks = tracks
	}
	r.forget()
}

func (r *recorder) take(s *understudy.Sample) {
	want := *r.camera.want.Load()
	if r.mirrors && !want.mirror {
		r.endMirror(want)
	}
	switch {
	case want.mirror:
		if !r.mirrors {
			r.beginMirror()
		}
		r.camera.preroll.saw(s)
		r.reflect(s, want)
	case !want.record:
		r.camera.gaps.excused()
		r.closeWriter()
		r.camera.setFault(nil)
		r.forget()
	case want.rule.Mode == understudy.RecordEvents:
		if !r.onEvents { // what is being written goes on to the next key frame
			r.onEvents, r.spilled = true, false
			r.setWriting(r.writer != nil)
		}
		r.camera.preroll.saw(s)
		r.await(s, want)
	default:
		if r.onEvents { // what waits in memory comes first
			for _, before := range r.camera.preroll.take() {
				r.write(before, want)
			}
			r.forget()
		}
		r.write(s, want)
	}
}

// forget ends waiting for events.
func (r *recorder) forget() {
	if r.onEvents || r.mirrors {
		r.camera.preroll.drop()
		r.camera.preroll.restart()
		r.camera.spill.end()
		r.camera.mirror.Forget()
	}
	r.onEvents, r.mirrors, r.writing, r.spilled = false, false, false, false
}

// await takes a sample of a camera that is recorded on events: it is written
// while footage is wanted, until the first key frame behind it, and else kept
// in memory. So one stretch of footage ends where the next one may begin.
func (r *recorder) await(s *understudy.Sample, want want) {
	if r.writing && isKey(s) && !r.spilled && !r.wants(s.At, want.rule) {
		r.closeWriter()
		r.setWriting(false)
		r.camera.setFault(nil)
	}
	if r.writing {
		r.write(s, want)
		return
	}
	if !r.camera.preroll.add(s, s.At.Add(-want.rule.Before-lateness), lateness) {
		r.spilled = true
		first, _, ok := r.camera.preroll.span()
		if !ok {
			first = s.At
		}
		r.camera.spill.begin(first)
		r.drain(0, want)
		r.await(s, want)
		return
	}
	r.look(want)
}

// look begins to write when footage is wanted of what is in memory.
func (r *recorder) look(want want) {
	if r.mirrors && !want.mirror {
		r.endMirror(want)
	}
	first, last, ok := r.camera.preroll.span()
	if !ok || r.writing || want.rule.Mode != understudy.RecordEvents || !want.record {
		return
	}
	if from, ok := r.camera.occasions.begin(want.rule, first, last); ok {
		r.drain(keyBefore(r.camera.preroll.samples, from), want)
	}
}

// drain writes what is in memory from a key frame on.
func (r *recorder) drain(first int, want want) {
	samples := r.camera.preroll.take()
	r.setWriting(true)
	if len(samples) > 0 {
		r.horizon = samples[len(samples)-1].At
	}
	for i, s := range samples {
		if i < first {
			s.Release()
			continue
		}
		r.await(s, want)
	}
	r.horizon = time.Time{}
}

// wants reports whether footage is wanted of what begins with a key frame at a
// time: the GOP of it, as far as it has come.
func (r *recorder) wants(at time.Time, rule understudy.RecordingRule) bool {
	newest := at
	if r.horizon.After(at) {
		newest = r.horizon
	}
	_, ok := r.camera.occasions.begin(rule, at, newest)
	return ok
}

func (r *recorder) setWriting(writing bool) {
	r.writing = writing
	if writing {
		r.camera.preroll.wrote(time.Now())
	} else {
		r.camera.preroll.wrote(time.Time{})
		r.camera.gaps.waits()
	}
}

// write writes one sample. A change of epoch waits for a key frame, so that no
// frame is lost between the two segments.
func (r *recorder) write(s *understudy.Sample, want want) {
	if isKey(s) && (r.writer == nil || r.epoch != want.epoch) {
		next, err := r.camera.store.NewWriter(r.camera.id, want.epoch, r.tracks)
		r.camera.setFault(err)
		if err == nil {
			r.closeWriter()
			r.writer, r.epoch = next, want.epoch
		} else {
			r.camera.gaps.failed(understudy.GapDisk, err.Error())
		}
	}
	if r.writer == nil {
		return
	}
	if err := r.writer.Write(s); err != nil {
		r.camera.setFault(err)
		r.camera.gaps.failed(understudy.GapDisk, err.Error())
		r.closeWriter()
		return
	}
	if s.Track == understudy.VideoTrack && want.record {
		r.camera.gaps.recorded(s.At)
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
