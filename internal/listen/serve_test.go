package listen

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"understudy"
)

func TestARequestUnderWayHasTheDrainToFinish(t *testing.T) {
	for _, c := range []struct {
		name  string
		drain time.Duration
		whole bool
	}{{"with a drain it is answered", time.Minute, true}, {"without one it is ended", 0, false}} {
		t.Run(c.name, func(t *testing.T) {
			serving, stop := context.WithCancel(t.Context())
			defer stop()
			served := make(chan error, 1)
			p := open(t, Options{AllowPlain: true}, func(m *Mux) {
				draining := make(chan struct{})
				server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_ = http.NewResponseController(w).Flush() // the status
					stop()
					select {
					case <-draining:
						_, _ = io.WriteString(w, "whole")
					case <-r.Context().Done():
					}
				})}
				server.RegisterOnShutdown(func() { close(draining) })
				ln := m.HTTP()
				go func() { served <- Serve(serving, ln, server, c.drain) }()
			})
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(response.Body)
				response.Body.Close()
				if c.whole && string(body) != "whole" {
					t.Errorf("the answer is %q", body)
				}
			}
			if c.whole != (err == nil) {
				t.Errorf("the request: %v", err)
			}
			if err := <-served; !errors.Is(err, context.Canceled) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

func TestServeSaysThatItsListenerWasClosed(t *testing.T) {
	served := make(chan error, 1)
	p := open(t, Options{AllowPlain: true}, func(m *Mux) {
		ln := m.HTTP()
		go func() { served <- Serve(t.Context(), ln, &http.Server{ReadHeaderTimeout: time.Minute}, 0) }()
	})
	p.end()
	if err := <-served; understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("Serve: %v", err)
	}
}
