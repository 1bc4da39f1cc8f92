// Package listen serves several protocols on one port: TLS, RTSP and HTTP are
// told apart by their first bytes.
package listen

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
)

// Options of a Mux; the zero value allows no connection without TLS.
type Options struct {
	AllowPlain bool         // also serve connections without TLS
	Log        *slog.Logger // nil is silent
}

// Mux hands the connections of one port to listeners by protocol. Ask for the
// listeners that are served before Run; connections of another protocol are refused.
type Mux struct{}

// New returns a Mux on ln, which Run closes. A nil config serves no TLS (then AllowPlain must be set).
func New(ln net.Listener, config *tls.Config, options Options) *Mux { panic("being built") }

// RTSP returns the listener of RTSP connections, TLS already removed.
func (m *Mux) RTSP() net.Listener { panic("being built") }

// HTTP returns the listener of HTTP connections, TLS already removed; serve it with ConnContext and WithTLS.
func (m *Mux) HTTP() net.Listener { panic("being built") }

// Raw returns a listener of all TLS connections, handshake done, first bytes not looked at.
func (m *Mux) Raw() net.Listener { panic("being built") }

// Run accepts until ctx ends.
func (m *Mux) Run(ctx context.Context) error { panic("being built") }

// ConnContext is for http.Server.ConnContext, so that ConnectionState works.
func ConnContext(ctx context.Context, conn net.Conn) context.Context { panic("being built") }

// ConnectionState returns the TLS state of the connection behind a request's context; false without TLS.
func ConnectionState(ctx context.Context) (*tls.ConnectionState, bool) { panic("being built") }

// TLSState returns the TLS state of a connection that a Mux handed over; false without TLS.
func TLSState(conn net.Conn) (*tls.ConnectionState, bool) { panic("being built") }

// WithTLS sets Request.TLS, which net/http cannot see by itself behind a Mux.
func WithTLS(next http.Handler) http.Handler { panic("being built") }
