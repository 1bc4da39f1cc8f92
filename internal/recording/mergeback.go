package recording

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/merge"
	"understudy/internal/storage"
)

const (
	// maxMergeSessions bounds how many failover servers send at once; each needs one.
	maxMergeSessions  = 16
	handshakePatience = 5 * time.Second
	acceptPause       = 100 * time.Millisecond // after a failure such as too many open files
)

// serveMerge takes footage that comes home until ctx ends.
func (s *Server) serveMerge(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.config.Merge.Close() })
	defer stop()
	var sessions sync.WaitGroup
	defer sessions.Wait()
	slots := make(chan struct{}, maxMergeSessions)
	for {
		conn, err := s.config.Merge.Accept()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return understudy.Errorf(understudy.CodeUnavailable, "the merge port was closed: %w", err)
		case err != nil:
			s.log.Error("a connection to the merge port could not be accepted", "error", err)
			pause(ctx, acceptPause)
			continue
		}
		select {
		case slots <- struct{}{}:
			sessions.Go(func() {
				defer func() { <-slots }()
				if err := s.receive(ctx, conn); err != nil && ctx.Err() == nil {
					s.log.Warn("a merge session ended early; it will be resumed", "from", conn.RemoteAddr(), "error", err)
				}
			})
		default:
			conn.Close()
		}
	}
}

// receive is one session: a failover server's, and nobody else's.
func (s *Server) receive(ctx context.Context, plain net.Conn) error {
	defer plain.Close()
	conn := tls.Server(plain, s.config.Node.PeerTLS())
	handshake, cancel := context.WithTimeout(ctx, handshakePatience)
	err := conn.HandshakeContext(handshake)
	cancel()
	if err != nil {
		return understudy.Errorf(understudy.CodeUnauthenticated, "footage is taken from servers of this installation only; the TLS handshake failed: %w", err)
	}
	state := conn.ConnectionState()
	peer, ok := identity.PeerIdentity(&state)
	if !ok || peer.Role != understudy.RoleFailover {
		return understudy.Errorf(understudy.CodeForbidden, "footage is taken from failover servers only, and %s connected", peer)
	}
	got, err := merge.Receive(ctx, conn, peer.Server, homeward{s.config.Store, s})
	for camera, tally := range got.Cameras {
		s.config.Report(understudy.Report{Kind: understudy.EventMerge, Camera: camera, Sentence: fmt.Sprintf(
			"%s of camera %s (%s) came home from %s to %s", counted(tally.Segments, "segment"), camera,
			humanize.IBytes(uint64(max(0, tally.Bytes))), peer.Server, s.config.ID)})
	}
	return err
}

// homeward is the store as footage comes home to it.
type homeward struct {
	*storage.Store
	server *Server
}

func (h homeward) Incarnation() string { return h.State().Incarnation }

// Accept takes only what belongs here.
func (h homeward) Accept(id understudy.SegmentID) error {
	switch home := h.server.home(id.Camera); home {
	case h.server.config.ID:
		return nil
	case "":
		return understudy.Errorf(understudy.CodeNotFound, "camera %s is unknown to %s; its footage stays where it is", id.Camera, h.server.config.ID)
	default:
		return understudy.Errorf(understudy.CodeForbidden, "camera %s belongs to %s and not to %s", id.Camera, home, h.server.config.ID)
	}
}

func (h homeward) Import(id understudy.SegmentID, size int64, sum [32]byte) (merge.Import, error) {
	i, err := h.Store.Import(id, size, sum)
	if err != nil {
		return nil, err // not a nil *storage.Import in an interface
	}
	return i, nil
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
