package recording

import (
	"slices"
	"sync"
	"sync/atomic"

	"understudy"
)

// expected are the servers whose cameras may have to be served here any moment.
// Their viewers come here at once, all of them, while it is being made sure that
// the server has failed: sent away they would come again and again, in the very
// moments in which the machine is needed for the cameras.
type expected struct {
	servers atomic.Pointer[[]understudy.ServerID]

	mu   sync.Mutex
	news chan struct{} // closed when what is served or expected here changes
}

// Expect names the servers, by id, of which a camera may have to be served here
// any moment. It does not wait.
func (s *Server) Expect(servers []understudy.ServerID) {
	if before := s.expected.servers.Swap(&servers); before == nil && len(servers) > 0 || before != nil && !slices.Equal(*before, servers) {
		s.expected.tell()
	}
}

// soon reports whether a camera may have to be served here any moment; news is
// closed when that, or what is served here, changes.
func (l library) soon(id understudy.CameraID) (news <-chan struct{}, ok bool) {
	news = l.server.expected.next()
	servers, site := l.server.expected.servers.Load(), l.server.site.Load()
	if servers == nil || site == nil {
		return news, false
	}
	lease, ok := site.Lease(id)
	return news, ok && slices.Contains(*servers, lease.Holder)
}

func (e *expected) next() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.news == nil {
		e.news = make(chan struct{})
	}
	return e.news
}

func (e *expected) tell() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.news != nil {
		close(e.news)
		e.news = nil
	}
}
