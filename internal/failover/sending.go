package failover

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"

	"understudy"
	"understudy/internal/merge"
)

const (
	sendPatience = 5 * time.Second  // for the connection
	sendPause    = 30 * time.Second // at most, between two attempts
	// Of what lags: a watermark that stands this long, at home or here, and state polls that take so long.
	markLag = 2500 * time.Millisecond
	tripLag = 250 * time.Millisecond
)

// sending is the way of one home's footage, over all batches.
type sending struct {
	pace   *merge.Pace
	memory *merge.Memory
	batch  atomic.Pointer[merge.Batch] // that runs; nil while none does
	cancel context.CancelFunc
	done   chan outcome
	pause  time.Duration
	next   time.Time

	waiting string // why nothing is sent now
	told    string // the windows that were last told of
	begun   time.Time
	sent    merge.Sent // since begun
}

// outcome is what came of a batch.
type outcome struct {
	sent merge.Sent
	all  bool // of it went
}

// foreignHomes are the homes whose closed segments or notes lie here.
func (s *Server) foreignHomes() []understudy.ServerID {
	var homes []understudy.ServerID
	add := func(camera understudy.CameraID) {
		if home := s.homeOf(camera); home != "" && home != s.self && !slices.Contains(homes, home) {
			homes = append(homes, home)
		}
	}
	for _, segment := range s.config.Store.Foreign() {
		add(segment.ID.Camera)
	}
	for _, n := range s.config.Store.ForeignNotes() {
		add(n.Camera)
	}
	slices.Sort(homes)
	return homes
}

func (s *Server) homeOf(camera understudy.CameraID) understudy.ServerID {
	c, _ := s.kept.Site.Camera(camera)
	return c.Home
}

// policy is how a home's footage comes home.
func (s *Server) policy(home understudy.ServerID) understudy.MergePolicy {
	if r, ok := s.kept.Site.RecordingServer(home); ok {
		return r.Merge.WithDefaults()
	}
	return s.state.duties[home].Home.Merge.WithDefaults()
}

// sendHome sends what lies here to the homes that answer, a batch a home at a
// time. A batch whose home answers no more is ended: what is lacking is in the next.
func (s *Server) sendHome(ctx context.Context, homes map[understudy.ServerID]string) {
	for home, run := range s.sends {
		if _, ok := homes[home]; !ok && run.batch.Load() != nil {
			run.cancel()
		}
		s.finish(home, run)
	}
	for home, address := range homes {
		run, ok := s.sends[home]
		if !ok {
			run = &sending{done: make(chan outcome, 1), pace: &merge.Pace{}, memory: &merge.Memory{}}
			s.sends[home] = run
		}
		policy := s.policy(home)
		local := time.Now().In(s.state.watch(home).state.At.Location()) // a state carries its server's own clock
		rate, open := policy.At(local)
		run.pace.Limit(rate)
		run.waiting = ""
		if !open {
			run.waiting = fmt.Sprintf("footage comes home to %s only within %q, and it is %s there", home, policy.Windows, local.Format("Mon 15:04"))
			if run.batch.Load() != nil {
				run.cancel()
			}
			s.tellWaiting(home, run)
			continue
		}
		if run.batch.Load() == nil && !time.Now().Before(run.next) {
			s.begin(ctx, home, address, run, policy)
		}
	}
}

// finish takes note of a batch that has ended.
func (s *Server) finish(home understudy.ServerID, run *sending) {
	var o outcome
	select {
	case o = <-run.done:
	default:
		return
	}
	run.batch.Store(nil)
	run.cancel()
	run.pause = min(max(2*run.pause, time.Second), sendPause)
	if o.all {
		run.pause = 0
	}
	run.next = time.Now().Add(run.pause)
	run.sent.Deleted += o.sent.Deleted
	run.sent.Bytes += o.sent.Bytes
	run.sent.Expired += o.sent.Expired
	for _, id := range o.sent.Quarantined {
		if run.memory.News(id, "quarantined") {
			s.tell(Said{Server: home, Public: true, Report: understudy.Report{Kind: understudy.EventStorage, Camera: id.Camera, Sentence: o.sent.Refused[id]}})
		}
	}
	for id, why := range o.sent.Refused {
		if !slices.Contains(o.sent.Quarantined, id) && run.memory.News(id, why) {
			s.log.Warn("home did not take a segment", slog.String("segment", id.String()), slog.String("why", why))
		}
	}
	if len(s.foreignOf(home)) > 0 || run.sent.Deleted+run.sent.Expired == 0 {
		return
	}
	expired := ""
	if run.sent.Expired > 0 {
		expired = fmt.Sprintf("; %d more were deleted here because retention at home has taken them, or would at once", run.sent.Expired)
	}
	s.tell(Said{Server: home, Public: true, Report: understudy.Report{Kind: understudy.EventMerge, Milestones: []understudy.Milestone{{Kind: understudy.MilestoneMergeEnded, Home: home}}, Sentence: fmt.Sprintf(
		"all that %s recorded for %s is home: %d segments in %s, %s over the line%s", s.self, home,
		run.sent.Deleted, time.Since(run.begun).Round(100*time.Millisecond), humanize.IBytes(uint64(max(0, run.sent.Bytes))), expired)}})
	run.begun, run.sent = time.Time{}, merge.Sent{}
}

// tellWaiting tells once why nothing is sent.
func (s *Server) tellWaiting(home understudy.ServerID, run *sending) {
	if run.told == s.policy(home).Windows || len(s.foreignOf(home)) == 0 {
		return
	}
	run.told = s.policy(home).Windows
	s.tell(Said{Server: home, Public: true, Report: understudy.Report{Kind: understudy.EventMerge, Sentence: run.waiting}})
}

func (s *Server) foreignOf(home understudy.ServerID) []understudy.Segment {
	return slices.DeleteFunc(s.config.Store.Foreign(), func(segment understudy.Segment) bool { return s.homeOf(segment.ID.Camera) != home })
}

// begin starts a batch of all that lies here for a home.
func (s *Server) begin(ctx context.Context, home understudy.ServerID, address string, run *sending, policy understudy.MergePolicy) {
	segments := s.foreignOf(home)
	notes := slices.DeleteFunc(s.config.Store.ForeignNotes(), func(n understudy.Note) bool { return s.homeOf(n.Camera) != home })
	site := s.kept.Site
	batch := merge.NewBatch(s.self, home, s.config.Store, segments, notes, merge.SendOptions{
		Grace: policy.Grace, Pace: run.pace, Memory: run.memory, Watched: s.config.Recorder.Watched,
		Expired: func(segment understudy.Segment) bool {
			_, expired := site.Expired(segment.ID.Camera, segment.End, time.Now())
			return expired
		},
	})
	if batch.Empty() { // or home has refused all of it, and is not asked again yet
		return
	}
	if run.told = ""; run.begun.IsZero() && len(segments) > 0 {
		run.begun = time.Now()
		var bytes int64
		for _, segment := range segments {
			bytes += segment.Size
		}
		s.tell(Said{Server: home, Public: true, Report: understudy.Report{Kind: understudy.EventMerge, Milestones: []understudy.Milestone{{Kind: understudy.MilestoneMergeBegun, Home: home}}, Sentence: fmt.Sprintf(
			"%s begins to bring home what it recorded for %s: %d segments, %s", s.self, home, len(segments), humanize.IBytes(uint64(max(0, bytes))))}})
	}
	sending, cancel := context.WithCancel(ctx)
	run.cancel = cancel
	run.batch.Store(batch)
	s.start(func() { run.done <- s.send(sending, home, address, batch) })
}

// send is one batch.
func (s *Server) send(ctx context.Context, home understudy.ServerID, address string, batch *merge.Batch) outcome {
	sent, err := batch.Run(ctx, func(ctx context.Context) (net.Conn, error) {
		dialling, cancel := context.WithTimeout(ctx, sendPatience)
		defer cancel()
		return s.config.DialMerge(dialling, home, address)
	})
	if err != nil && ctx.Err() == nil {
		s.log.InfoContext(ctx, "sending footage home was interrupted; what is lacking is sent again", slog.String("home", string(home)), slog.Any("error", err))
	}
	return outcome{sent: sent, all: err == nil && len(sent.Refused) == 0}
}

// look tells the paces how both ends are, and the state port how far the transfers are.
func (s *Server) look(foreign []understudy.ServerID) {
	own := s.marks.lag(s.config.Recorder.State())
	transfers := []understudy.Transfer{}
	for _, home := range foreign {
		run, ok := s.sends[home]
		if !ok {
			run = &sending{} // that home never answered
		}
		if batch := run.batch.Load(); batch != nil {
			lag := s.lag(home)
			if lag == "" && own != "" {
				lag = fmt.Sprintf("%s itself lags: %s", s.self, own)
			}
			run.pace.Feel(lag)
			transfers = append(transfers, batch.Transfer())
			continue
		}
		t := understudy.Transfer{From: s.self, To: home, Waiting: run.waiting}
		for _, segment := range s.foreignOf(home) {
			t.SegmentsLeft++
			t.BytesLeft += segment.Size
		}
		if t.SegmentsLeft == 0 {
			continue
		}
		if t.Waiting == "" {
			t.Waiting = fmt.Sprintf("%s does not take footage now, and is asked again within %s", home, sendPause)
		}
		transfers = append(transfers, t)
	}
	s.transfers.Store(&transfers)
}

// lag says what a home is behind with; "" when it is well.
func (s *Server) lag(home understudy.ServerID) string {
	w, ok := s.state.watches[home]
	switch {
	case !ok || w.suspected > 0:
		return fmt.Sprintf("%s has not answered for a while", home)
	case w.trip > tripLag:
		return fmt.Sprintf("%s takes %s to answer a state poll", home, w.trip.Round(time.Millisecond))
	case !w.state.Storage.Writable:
		return fmt.Sprintf("the storage of %s is not well: %s", home, w.state.Storage.Sentence)
	}
	for _, c := range w.state.Cameras {
		p := w.cameras[c.Camera]
		if c.Receiving && !c.Waiting && p.begun && s.state.at-p.moved > markLag {
			return fmt.Sprintf("the disk of %s is %s behind with camera %s", home, seconds(s.state.at-p.moved), c.Camera)
		}
	}
	return ""
}

// marks are the watermarks of the own recorder, and when each was last seen to move.
type marks map[understudy.CameraID]struct {
	mark understudy.Watermark
	at   time.Time
}

// lag says what the own recorder is behind with; "" when it is well.
func (m marks) lag(state understudy.State) string {
	if !state.Storage.Writable {
		return "its storage is not well: " + state.Storage.Sentence
	}
	sentence := ""
	for _, c := range state.Cameras {
		last, known := m[c.Camera]
		if !known || last.mark != c.Watermark || !c.Receiving || c.Waiting || c.Mirrored { // nothing of a mirrored one is written
			last.mark, last.at = c.Watermark, state.At
			m[c.Camera] = last
			continue
		}
		if behind := state.At.Sub(last.at); behind > markLag && !c.Watermark.At.IsZero() {
			sentence = fmt.Sprintf("its disk is %s behind with camera %s", seconds(behind), c.Camera)
		}
	}
	return sentence
}
