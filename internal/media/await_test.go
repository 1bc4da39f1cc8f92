package media

import (
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"understudy"
	"understudy/internal/media/mediatest"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

// standby serves nothing until it is told to.
type standby struct {
	library
	hub   atomic.Pointer[stream.Hub]
	asked chan struct{} // takes one for each viewer's question

	mu   sync.Mutex
	soon bool
	news chan struct{}
}

func (s *standby) Live(understudy.CameraID) (*stream.Hub, bool) {
	hub := s.hub.Load()
	return hub, hub != nil
}

func (s *standby) expected(understudy.CameraID) (<-chan struct{}, bool) {
	s.asked <- struct{}{}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news, s.soon
}

func (s *standby) tell(soon bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.news)
	s.news, s.soon = make(chan struct{}), soon
}

func newStandby(t *testing.T) (*standby, *httptest.Server) {
	t.Helper()
	store, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: t.TempDir()}}, Server: "fo-1"})
	if err != nil {
		t.Fatal(err)
	}
	s := &standby{library: library{Store: store, elsewhere: map[understudy.CameraID]string{"lobby": "10.0.0.1:7563"}},
		asked: make(chan struct{}, 100), soon: true, news: make(chan struct{})}
	server := httptest.NewServer(New(Config{Server: "fo-1", Library: s, Soon: s.expected}))
	t.Cleanup(func() {
		if hub := s.hub.Load(); hub != nil {
			hub.Close()
		}
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, server
}

// Whoever comes while it is being made sure that the holder has failed gets the
// picture over the same connection as soon as there is one.
func TestAViewerWaitsForATakeover(t *testing.T) {
	s, server := newStandby(t)
	conn := dial(t, server)
	<-s.asked // whether to accept it, and
	<-s.asked // before it waits
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 1, noon)
	hub := stream.NewHub()
	hub.Tracks(tracks)
	hub.Sample(samples[0])
	s.hub.Store(hub)
	s.tell(true)
	if h := hear(t, conn, 3); len(h.fragments) != 1 || h.hellos[0].Epoch != 7 {
		t.Errorf("heard %d fragments under epoch %d", len(h.fragments), h.hellos[0].Epoch)
	}
}

// When the holder is well after all, its viewers are told to look there again.
func TestAViewerIsSentOnWhenNothingComesOfIt(t *testing.T) {
	s, server := newStandby(t)
	conn := dial(t, server)
	<-s.asked
	<-s.asked
	s.tell(false)
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
		t.Errorf("the connection ended with %v", err)
	}
	response, _ := get(t, server.URL+"/v1/cameras/lobby/live?token=viewer")
	if to := response.Header.Get("Location"); to != "http://10.0.0.1:7563/v1/cameras/lobby/live?token=viewer" {
		t.Errorf("sent to %q with %d", to, response.StatusCode)
	}
}
