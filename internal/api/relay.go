package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"understudy"
)

const (
	// maxRelayed bounds relayed requests: each is a connection and a copying goroutine or two.
	maxRelayed       = 500
	relayDialTimeout = 3 * time.Second
	relayHeaders     = 15 * time.Second
)

// relay passes requests on to the media ports of the site's servers, for
// browsers that cannot connect to them: /relay/SERVER/PATH?token=MEDIA-TOKEN.
// What may be seen, the media port decides by the token. The relay shows no
// certificate there: with one, it would lend its rights to everybody.
type relay struct {
	servers understudy.ServerService
	tls     func(understudy.ServerID) *tls.Config
	log     *slog.Logger
	slots   chan struct{}

	mu         sync.Mutex
	transports map[understudy.ServerID]*http.Transport
}

func newRelay(servers understudy.ServerService, config func(understudy.ServerID) *tls.Config, log *slog.Logger) *relay {
	return &relay{servers: servers, tls: config, log: log, slots: make(chan struct{}, maxRelayed), transports: map[understudy.ServerID]*http.Transport{}}
}

// ServeHTTP implements http.Handler.
func (l *relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := understudy.ServerID(r.PathValue("server"))
	site, err := l.servers.Site(r.Context())
	if err != nil {
		writeError(w, r, l.log, err)
		return
	}
	addresses, ok := site.Addresses(id)
	if !ok {
		writeError(w, r, l.log, understudy.Errorf(understudy.CodeNotFound, "there is no server %.63q to relay from", string(id)))
		return
	}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	default:
		writeError(w, r, l.log, understudy.Errorf(understudy.CodeUnavailable, "the relay carries %d requests and takes no more; install the CA certificate and connect directly", maxRelayed))
		return
	}
	proxy := &httputil.ReverseProxy{
		Transport:      l.transport(id),
		FlushInterval:  -1, // video is passed on as it comes
		Rewrite:        func(p *httputil.ProxyRequest) { rewrite(p, addresses.Media) },
		ModifyResponse: func(response *http.Response) error { return relocate(response, site, id) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return // the browser is gone
			}
			// Told to who asked, and known from the server's status: not worth a line in the log for each try.
			writeError(w, r, slog.New(slog.DiscardHandler), understudy.Errorf(understudy.CodeUnavailable, "%s could not be reached at %s: %w", id, addresses.Media, err))
		},
		ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}
	proxy.ServeHTTP(w, r)
}

// rewrite aims a request at a media port, without what is meant for this server only.
func rewrite(p *httputil.ProxyRequest, media string) {
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "https", media, media
	p.Out.URL.Path, p.Out.URL.RawPath = "/"+p.In.PathValue("path"), ""
	p.Out.Header.Del("Cookie")
	p.Out.Header.Del("Authorization")
	p.Out.Header.Del("Origin") // the media port would see a stranger's
}

// relocate keeps redirects to other servers of the site on the relay's way. The
// media port's own headers would say twice, and otherwise, what this server says.
func relocate(response *http.Response, site understudy.Site, from understudy.ServerID) error {
	for _, name := range []string{"Access-Control-Allow-Origin", "Set-Cookie", "Content-Security-Policy"} {
		response.Header.Del(name)
	}
	location := response.Header.Get("Location")
	if location == "" {
		return nil
	}
	target, err := url.Parse(location)
	if err != nil {
		response.Header.Del("Location")
		return nil
	}
	holder, ok := from, target.Host == ""
	for id, addresses := range site.MediaServers() {
		if target.Host == addresses.Media {
			holder, ok = id, true
		}
	}
	if !ok || !strings.HasPrefix(target.Path, "/") {
		response.Header.Del("Location")
		return nil
	}
	target.Scheme, target.Host, target.Path, target.RawPath = "", "", "/relay/"+string(holder)+target.Path, ""
	response.Header.Set("Location", target.String())
	return nil
}

func (l *relay) transport(id understudy.ServerID) *http.Transport {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.transports[id]; ok {
		return t
	}
	config := l.tls(id).Clone()
	config.Certificates, config.GetClientCertificate = nil, nil
	t := &http.Transport{
		DialContext:     (&net.Dialer{Timeout: relayDialTimeout}).DialContext,
		TLSClientConfig: config, TLSHandshakeTimeout: relayDialTimeout, ResponseHeaderTimeout: relayHeaders,
		IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 4,
	}
	l.transports[id] = t
	return t
}
