package api

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"understudy"
)

// policy lets the page load nothing from elsewhere, save video and sockets of
// the site's other servers, whose addresses are not known here.
const policy = "default-src 'self'; connect-src 'self' https: wss:; media-src 'self' blob: https:; img-src 'self' data: blob:; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// outside is what every request passes first: headers, the refusal of
// connections without TLS, and of requests that another site's page sends, and
// the look at the ticket that it shows.
func outside(next *gate, https int, log *slog.Logger) http.Handler {
	tickets := next.identify.Tickets
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, log, understudy.Errorf(understudy.CodeForbidden, "a page of another origin sent this; only the site's own page may"))
	}))
	protected := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache") // revalidate: a page that is older than its server misreads it
		if r.TLS == nil && r.URL.Path != base+"/health" && r.URL.Path != base+"/ready" && !tickets.onPlain(r) {
			plain(w, r, https, log)
			return
		}
		w = tickets.challenged(w, r)
		r, err := next.identify.withTicket(w, r)
		if err != nil {
			writeError(w, r, log, err)
			return
		}
		protected.ServeHTTP(w, r)
	})
}

// plain answers a request without TLS: to the encrypted port, or, where
// something that must stay secret was sent, with a refusal that says so.
func plain(w http.ResponseWriter, r *http.Request, https int, log *slog.Logger) {
	secret := r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || r.URL.Query().Has("token")
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	switch {
	case secret:
		writeError(w, r, log, understudy.Errorf(understudy.CodeForbidden,
			"credentials were sent without TLS and may have been read on the way; use https, and change them"))
	case r.Method != http.MethodGet && r.Method != http.MethodHead || host == "":
		writeError(w, r, log, understudy.Errorf(understudy.CodeForbidden, "this is answered over TLS only; use https"))
	default:
		if https != 0 && https != understudy.PortHTTPS {
			host = net.JoinHostPort(host, strconv.Itoa(https))
		}
		target := *r.URL
		target.Scheme, target.Host, target.User = "https", host, nil
		http.Redirect(w, r, target.String(), http.StatusPermanentRedirect)
	}
}

// Bounds of a connection: what a client sends slowly on purpose must not hold
// up others. Answers have no bound here, since the channel never ends.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
)

// Server returns the HTTP server for one of the package's handlers, without an address.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // handshakes that strangers give up
	}
}
