package recording

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/listen"
	"understudy/internal/merge"
	"understudy/internal/storage"
)

// maxMergeSessions bounds the sessions of all failover servers; each opens up to three.
const maxMergeSessions = 32

// serveMerge takes footage that comes home until ctx ends: from failover servers,
// and nobody else. Who has not yet proven to be one holds no session.
func (s *Server) serveMerge(ctx context.Context) error {
	mux := listen.New(s.config.Merge, s.config.Node.PeerTLS(), listen.Options{Log: s.log})
	connections := mux.Raw()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return mux.Run(ctx) })
	slots := make(chan struct{}, maxMergeSessions)
	g.Go(func() error {
		for {
			conn, err := connections.Accept()
			if err != nil {
				return nil // Run has ended, and says why
			}
			state, _ := listen.TLSState(conn)
			peer, _ := identity.PeerIdentity(state)
			if peer.Role != understudy.RoleFailover {
				s.log.Warn("footage is taken from failover servers only", "from", conn.RemoteAddr(), "peer", peer)
				conn.Close()
				continue
			}
			select {
			case slots <- struct{}{}:
				g.Go(func() error {
					defer func() { <-slots }()
					s.receive(ctx, conn, peer.Server)
					return nil
				})
			default:
				s.log.Warn("as many merge sessions as there may be are open; the failover server will come again", "peer", peer, "sessions", maxMergeSessions)
				conn.Close()
			}
		}
	})
	return g.Wait()
}

// receive is one session, of a failover server.
func (s *Server) receive(ctx context.Context, conn net.Conn, from understudy.ServerID) {
	got, err := s.arrivals.Receive(ctx, conn, from)
	for camera, tally := range got.Cameras {
		s.config.Report(understudy.Report{Kind: understudy.EventMerge, Camera: camera, Sentence: fmt.Sprintf(
			"%s of camera %s (%s) came home from %s to %s", counted(tally.Segments, "segment"), camera,
			humanize.IBytes(uint64(max(0, tally.Bytes))), from, s.config.ID)})
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("a merge session ended early; it will be resumed", "peer", from, "error", err)
	}
}

// homeward is the store as footage comes home to it.
type homeward struct {
	*storage.Store
	server *Server
}

func (h homeward) Incarnation() string { return h.State().Incarnation }

// Accept takes only what belongs here.
func (h homeward) Accept(camera understudy.CameraID) error {
	switch home := h.server.home(camera); home {
	case h.server.config.ID:
		return nil
	case "":
		return understudy.Errorf(understudy.CodeNotFound, "camera %s is unknown to %s; its footage stays where it is", camera, h.server.config.ID)
	default:
		return understudy.Errorf(understudy.CodeForbidden, "camera %s belongs to %s and not to %s", camera, home, h.server.config.ID)
	}
}

// Expired says why retention here would take a segment at once.
func (h homeward) Expired(id understudy.SegmentID, end time.Time) string {
	if site := h.server.site.Load(); site != nil {
		if keep, expired := site.Expired(id.Camera, end, time.Now()); expired {
			return fmt.Sprintf("recordings of camera %s are kept for %s, and segment %s ended at %s", id.Camera, keep, id, end.UTC().Format(time.RFC3339))
		}
	}
	return ""
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
