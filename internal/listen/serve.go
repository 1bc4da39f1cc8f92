package listen

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"understudy"
)

// Serve answers the requests that come by l, a Mux's HTTP, until ctx ends.
// Requests that are under way then have drain to finish; 0 ends them at once.
// The handler of server finds the TLS state in Request.TLS. Errors:
// CodeUnavailable if l is closed by somebody else; else ctx's.
func Serve(ctx context.Context, l net.Listener, server *http.Server, drain time.Duration) error {
	server.ConnContext, server.Handler = connContext, withTLS(server.Handler)
	defer func() { _ = server.Close() }() // also what was accepted while the others were closed
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- server.Serve(l)
	}()
	select {
	case err := <-ended: // of its own, or since l ends with ctx
		if ctx.Err() == nil {
			return understudy.Errorf(understudy.CodeUnavailable, "the port %s stopped serving HTTP: %w", l.Addr(), err)
		}
	case <-ctx.Done():
	}
	if drain > 0 {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		_ = server.Shutdown(limited) // what does not finish is ended below
	}
	_ = server.Close()
	for range ended {
	}
	return ctx.Err()
}

type contextKey struct{}

func connContext(ctx context.Context, c net.Conn) context.Context {
	if state, ok := TLSState(c); ok {
		return context.WithValue(ctx, contextKey{}, state)
	}
	return ctx
}

// withTLS sets Request.TLS, which net/http sets only on connections whose TLS
// it has removed itself.
func withTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state, ok := r.Context().Value(contextKey{}).(*tls.ConnectionState); ok {
			r.TLS = state
		}
		next.ServeHTTP(w, r)
	})
}
