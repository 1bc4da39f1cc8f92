package failover

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"understudy"
)

// bundlesFile is where the sealed bundles lie, as they came.
const bundlesFile = "bundles"

// bundlePatience is longer than for duties: a thousand cameras are a megabyte.
const bundlePatience = 3 * time.Second

// bundles are the sealed bundles of this server, by home. They lie in memory
// too, so that a disk that hangs delays no takeover; what is in memory is as
// sealed as what is on the disk.
type bundles struct {
	mu   sync.Mutex
	kept map[understudy.ServerID]keptBundle

	tried   map[understudy.ServerID]time.Time // when the one was made that was opened last; of the loop
	changed chan struct{}                     // to be kept
}

// keptBundle is a bundle with the highest number and date that its home's ever
// had: an older one has neither higher, whichever of the two has gone back meanwhile.
type keptBundle struct {
	Bundle understudy.Bundle `json:"bundle"`
	Seq    uint64            `json:"seq"`
	Made   time.Time         `json:"made"`
}

// take keeps b instead of the one before if it is newer. CodeConflict for an older one.
func (k keptBundle) take(b understudy.Bundle) (keptBundle, error) {
	switch {
	case b.Seq == k.Bundle.Seq && b.Made.Equal(k.Bundle.Made):
		return k, nil
	case b.Seq <= k.Seq && !b.Made.After(k.Made):
		return k, understudy.Errorf(understudy.CodeConflict, "the bundle of %s, number %d of %s, is older than number %d of %s, which was here already",
			b.Home, b.Seq, b.Made.UTC().Format(time.RFC3339), k.Seq, k.Made.UTC().Format(time.RFC3339))
	}
	k.Bundle, k.Seq = b, max(k.Seq, b.Seq)
	if b.Made.After(k.Made) {
		k.Made = b.Made
	}
	return k, nil
}

// takeBundles makes the kept ones those of came: what is new is verified, and
// what is not among them belongs to no duty any more.
func (s *Server) takeBundles(ctx context.Context, came []understudy.Bundle) {
	s.bundles.mu.Lock()
	defer s.bundles.mu.Unlock()
	next := make(map[understudy.ServerID]keptBundle, len(came))
	for _, b := range came {
		old := s.bundles.kept[b.Home]
		if old.Bundle.Home != "" {
			next[b.Home] = old
		}
		err := s.config.Node.VerifyBundle(b)
		if err == nil {
			old, err = old.take(b)
		}
		if err != nil {
			s.log.WarnContext(ctx, "a bundle was refused; the one before stays", slog.String("home", string(b.Home)), slog.Any("error", err))
			continue
		}
		next[b.Home] = old
	}
	same := func(a, b keptBundle) bool {
		return a.Seq == b.Seq && a.Made.Equal(b.Made) && a.Bundle.Seq == b.Bundle.Seq
	}
	if maps.EqualFunc(next, s.bundles.kept, same) {
		return
	}
	s.bundles.kept = next
	signal(s.bundles.changed)
}

// fetchBundles asks for the bundles. A management server that makes none yet is older than this one.
func (s *Server) fetchBundles(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, bundlePatience)
	defer cancel()
	came, err := s.config.Management.Bundles(asking, s.self, s.config.Node.BundleKey())
	if err != nil {
		s.log.InfoContext(ctx, "the sealed bundles could not be had; the ones before stay", slog.Any("error", err))
		return
	}
	s.takeBundles(ctx, came)
}

// keepBundles writes them down when they have changed. Nobody waits for it.
func (s *Server) keepBundles(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.bundles.changed:
		}
		s.bundles.mu.Lock()
		kept := slices.SortedFunc(maps.Values(s.bundles.kept), func(a, b keptBundle) int {
			return strings.Compare(string(a.Bundle.Home), string(b.Bundle.Home))
		})
		s.bundles.mu.Unlock()
		text, err := json.Marshal(kept)
		if err == nil {
			err = s.config.Node.SealFile(bundlesFile, text)
		}
		if err != nil {
			s.log.ErrorContext(ctx, "the sealed bundles could not be kept; after a restart the ones before count", slog.Any("error", err))
		}
	}
}

func (s *Server) restoreBundles(ctx context.Context) {
	text, err := s.config.Node.OpenFile(bundlesFile)
	var kept []keptBundle
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err != nil {
		s.log.InfoContext(ctx, "no sealed bundles are kept from an earlier run", slog.Any("error", err))
		return
	}
	s.bundles.mu.Lock()
	defer s.bundles.mu.Unlock()
	s.bundles.kept = make(map[understudy.ServerID]keptBundle, len(kept))
	for _, k := range kept {
		s.bundles.kept[k.Bundle.Home] = k
	}
}

// open opens the bundles that are needed, each once. One that came meanwhile is tried again.
func (s *Server) open(ctx context.Context, homes []understudy.ServerID) {
	for home := range s.bundles.tried {
		if !slices.Contains(homes, home) {
			delete(s.bundles.tried, home)
		}
	}
	for _, home := range homes {
		s.bundles.mu.Lock()
		b := s.bundles.kept[home].Bundle
		s.bundles.mu.Unlock()
		if tried, ok := s.bundles.tried[home]; ok && tried.Equal(b.Made) {
			continue
		}
		s.bundles.tried[home] = b.Made
		s.start(func() {
			cameras, err := s.content(home, b)
			if err != nil {
				s.tell(Said{Server: home, Public: true, Report: understudy.Report{Kind: understudy.EventServer,
					Sentence: fmt.Sprintf("%s cannot record %s before the management server answers: %s", s.self, home, err)}})
				return
			}
			s.observe(ctx, Observation{Opened: &b, Material: cameras})
		})
	}
}

// content is what a bundle has to say.
func (s *Server) content(home understudy.ServerID, b understudy.Bundle) ([]understudy.AssignedCamera, error) {
	if b.Home != home {
		return nil, understudy.Errorf(understudy.CodeNotFound, "no sealed bundle of it has come here yet")
	}
	plain, err := s.config.Node.OpenBundle(b)
	if err != nil {
		return nil, err
	}
	var cameras []understudy.AssignedCamera
	if err := json.Unmarshal(plain, &cameras); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the bundle of %s opens, and what is in it cannot be read: %w", home, err)
	}
	return cameras, nil
}
