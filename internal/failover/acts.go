package failover

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"slices"
	"time"

	"understudy"
)

// claimRun is a claim that is being asked, again and again until it is answered.
type claimRun struct {
	id     string
	cancel context.CancelFunc
}

const (
	claimPatience = 1500 * time.Millisecond
	claimPause    = 2 * time.Second // at most, between two attempts
	proveEvery    = 300 * time.Millisecond
	proveWindow   = 30 * time.Second // by which two holders' capture times may differ
)

// claim asks for the leases that are wanted, and for no others.
func (s *Server) claim(ctx context.Context, claims []understudy.Claim) {
	for home, run := range s.claims {
		if !slices.ContainsFunc(claims, func(c understudy.Claim) bool { return c.ID == run.id }) {
			run.cancel()
			delete(s.claims, home)
		}
	}
	for _, c := range claims {
		if _, ok := s.claims[c.Home]; ok {
			continue
		}
		c.Decided = time.Now()
		c.Milestones = s.evidence(c.Home, c.Decided)
		s.promises(c)
		claiming, cancel := context.WithCancel(ctx)
		s.claims[c.Home] = &claimRun{id: c.ID, cancel: cancel}
		s.start(func() {
			defer cancel()
			s.askFor(claiming, c)
		})
	}
}

// askFor repeats one claim until its outcome is known.
func (s *Server) askFor(ctx context.Context, c understudy.Claim) {
	for pause := pollEvery; ctx.Err() == nil; pause = min(2*pause, claimPause) {
		attempt, cancel := context.WithTimeout(ctx, claimPatience)
		answer, err := s.config.Management.Claim(attempt, c)
		if err != nil {
			err = late(attempt, err)
		}
		cancel()
		code := understudy.CodeOf(err)
		switch {
		case err == nil:
			s.observe(ctx, Observation{Claimed: &Claimed{ID: c.ID, Home: c.Home, Answer: answer}})
			return
		case ctx.Err() != nil: // it is wanted no more, which says nothing of the management server
			return
		case code == understudy.CodeUnavailable || code == understudy.CodeInternal:
			reached := false
			s.observe(ctx, Observation{Reached: &reached})
			s.log.InfoContext(ctx, "a claim has no answer yet and is repeated", slog.String("home", string(c.Home)), slog.Any("error", err))
		default:
			s.observe(ctx, Observation{Claimed: &Claimed{ID: c.ID, Home: c.Home, Err: err}})
			return
		}
		wait(ctx, pause)
	}
}

// prove looks for samples of others in the own store.
func (s *Server) prove(ctx context.Context) {
	ticker := time.NewTicker(proveEvery)
	defer ticker.Stop()
	var wanted []Proof
	for {
		select {
		case <-ctx.Done():
			return
		case wanted = <-s.proofs:
			continue
		case <-ticker.C:
		}
		for _, p := range wanted {
			if s.recorded(ctx, p) {
				s.observe(ctx, Observation{Proven: &p})
			}
		}
	}
}

// recorded reports whether the sample of p is durable here as well, or waits
// here for an event.
func (s *Server) recorded(ctx context.Context, p Proof) bool {
	if s.config.Recorder.Buffers(p.Camera, p.Mark.Hash) {
		return true
	}
	segments, err := s.config.Store.Segments(ctx, p.Camera, p.Mark.At.Add(-proveWindow), p.Mark.At.Add(proveWindow), true)
	if err != nil {
		s.log.DebugContext(ctx, "the own footage could not be searched for an overlap", slog.Any("error", err))
		return false
	}
	for _, segment := range segments {
		if segment.ID.Holder != s.self {
			continue
		}
		for _, m := range segment.Marks {
			if m.Hash == p.Mark.Hash && m.At.Sub(p.Mark.At).Abs() <= proveWindow {
				return true
			}
		}
	}
	return false
}

func dialMerge(node Node) func(context.Context, understudy.ServerID, string) (net.Conn, error) {
	return func(ctx context.Context, home understudy.ServerID, address string) (net.Conn, error) {
		dialer := tls.Dialer{Config: node.ClientTLS(home)}
		return dialer.DialContext(ctx, "tcp", address)
	}
}

// kept is what a failover server must still know when it starts with nobody to ask.
type kept struct {
	Site   understudy.Site             `json:"site"`
	Duties []understudy.Duty           `json:"duties"`
	Record []understudy.AssignedCamera `json:"record"`
}

// keptFile holds camera passwords: only this server can open it.
const keptFile = "standby"

// keep seals on disk what has changed of it; the loop never waits for the disk.
func (s *Server) keep(ctx context.Context) {
	var last []byte
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-s.keeps:
			last = s.seal(next, last)
			s.makeReady(next.Duties)
		}
	}
}

// makeReady lets the store prepare for the cameras that may have to be recorded
// here. Those it has prepared for already cost nothing.
func (s *Server) makeReady(duties []understudy.Duty) {
	var cameras []understudy.CameraID
	for _, d := range duties {
		for _, c := range d.Cameras {
			cameras = append(cameras, c.Camera.ID)
		}
	}
	if err := s.config.Store.Prepare(cameras); err != nil {
		s.log.Warn("the store could not prepare for a takeover, which will take a little longer", slog.Any("error", err))
	}
}

// seal returns what lies on the disk now.
func (s *Server) seal(next kept, last []byte) []byte {
	text, err := json.Marshal(next)
	if err == nil && bytes.Equal(text, last) {
		return last
	}
	if err == nil {
		err = s.config.Node.SealFile(keptFile, text)
	}
	if err != nil {
		s.log.Error("what this server must know to start alone could not be kept", slog.Any("error", err))
		return last
	}
	return text
}

// restore plays what was kept when this server last ran.
func (s *Server) restore(ctx context.Context) {
	s.restoreBundles(ctx)
	text, err := s.config.Node.OpenFile(keptFile)
	if err != nil {
		s.log.InfoContext(ctx, "nothing is kept from an earlier run", slog.Any("error", err))
		return
	}
	var old kept
	if err := json.Unmarshal(text, &old); err != nil {
		s.log.WarnContext(ctx, "what was kept from an earlier run cannot be read and is fetched anew", slog.Any("error", err))
		return
	}
	s.kept = old
	s.step(ctx, Observation{Resumed: old.Record})
	s.step(ctx, Observation{Duties: &old.Duties})
	if old.Site.Seq == 0 {
		return // it stopped before it had heard of the site: the duties tell the epochs
	}
	s.config.Recorder.SetSite(old.Site)
	s.step(ctx, Observation{Site: &old.Site})
}
