package failover

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"understudy"
	"understudy/internal/bundle"
)

// bundlesFile is where the sealed bundles lie, as they came.
const bundlesFile = "bundles"

// bundlePatience is longer than for duties: a thousand cameras are a megabyte.
const bundlePatience = 3 * time.Second

// bundles are the sealed bundles of this server. They lie in memory too, so that
// a disk that hangs delays no takeover; what is in memory is as sealed as what is
// on the disk.
type bundles struct {
	mu      sync.Mutex
	shelf   bundle.Shelf
	changed chan struct{} // to be kept
}

// takeBundles makes the kept ones those of came.
func (s *Server) takeBundles(ctx context.Context, came []understudy.Bundle) {
	s.bundles.mu.Lock()
	defer s.bundles.mu.Unlock()
	if s.bundles.shelf.Take(came, s.config.Node.VerifyBundle, func(home understudy.ServerID, err error) {
		s.log.WarnContext(ctx, "a bundle was refused; the one before stays", slog.String("home", string(home)), slog.Any("error", err))
	}) {
		signal(s.bundles.changed)
	}
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
		kept := s.bundles.shelf.Kept()
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
	var kept []bundle.Kept
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err != nil {
		s.log.InfoContext(ctx, "no sealed bundles are kept from an earlier run", slog.Any("error", err))
		return
	}
	s.bundles.mu.Lock()
	defer s.bundles.mu.Unlock()
	s.bundles.shelf = bundle.NewShelf(kept)
}

// open opens the bundles that are needed.
func (s *Server) open(ctx context.Context, homes []understudy.ServerID) {
	s.bundles.mu.Lock()
	due := s.bundles.shelf.Due(homes)
	s.bundles.mu.Unlock()
	for home, b := range due {
		s.start(func() {
			cameras, err := b.Content(home, s.config.Node.OpenBundle)
			if err != nil {
				s.tell(Said{Server: home, Public: true, Report: understudy.Report{Kind: understudy.EventServer,
					Sentence: fmt.Sprintf("%s cannot record %s before the management server answers: %s", s.self, home, err)}})
				return
			}
			s.observe(ctx, Observation{Opened: &b.Bundle, Material: cameras})
		})
	}
}
