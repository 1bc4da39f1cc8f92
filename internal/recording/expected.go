package recording

import (
	"slices"
	"sync"

	"understudy"
)

// expected are the servers whose cameras may have to be served here any moment.
// Their viewers come here at once, all of them, while it is being made sure that
// the server has failed: sent away they would come again and again, in the very
// moments in which the machine is needed for the cameras.
type expected struct {
	mu      sync.Mutex
	servers []understudy.ServerID
	news    chan struct{} // closed when what is served or expected here changes; nil while nobody waits for it
}

// Expect names the servers, by id, of which a camera may have to be served here
// any moment. It does not wait.
func (s *Server) Expect(servers []understudy.ServerID) {
	e := &s.expected
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.servers, servers) {
		e.servers = servers
		e.wake()
	}
}

// soon reports whether a camera may have to be served here any moment; news is
// closed when that, or what is served here, changes.
func (l library) soon(id understudy.CameraID) (news <-chan struct{}, ok bool) {
	e := &l.server.expected
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.news == nil {
		e.news = make(chan struct{})
	}
	return e.news, slices.Contains(e.servers, l.server.lease(id).Holder)
}

// changed tells those who wait that what is served here has changed.
func (e *expected) changed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wake()
}

// wake is changed, with mu held.
func (e *expected) wake() {
	if e.news != nil {
		close(e.news)
		e.news = nil
	}
}
