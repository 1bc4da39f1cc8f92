// Package metrics is what an operator's Prometheus reads of each role. Nothing
// is counted where video flows: what the roles know already is read when
// somebody asks.
//
// The label server is always the recording or failover server that a number is
// about, whoever tells it.
package metrics

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"understudy"
)

// maxScrapes that are answered at once: each walks over all cameras.
const maxScrapes = 4

// Config is what Serve needs.
type Config struct {
	// Address to listen on, host:port; empty serves nobody. TLS is the role's own,
	// and on loopback connections without it are served, too.
	Address string
	TLS     *tls.Config
	// TokenFile holds what a reader shows as a bearer; empty asks for nothing.
	TokenFile string

	Role    understudy.Role
	Version string
	// Parts of the role that have something to tell.
	Parts []prometheus.Collector
	// Ready says whether the role does its work, and what it does, in one sentence.
	Ready func() (ready bool, sentence string)
	Log   *slog.Logger
}

// Handler answers GET /metrics in Prometheus' format and GET /ready with a
// sentence, 200 for yes and 503 for no, to those who show the token, if there is one.
func Handler(c Config, token understudy.Secret) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build(c))
	registry.MustRegister(c.Parts...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
		// What one part cannot tell must not hide the others.
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
	}))
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { readiness(w, c.Ready) })
	if token == "" {
		return mux
	}
	return bearer(mux, token)
}

func build(c Config) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "understudy_build_info", Help: "1, with what runs here in the labels.",
		ConstLabels: prometheus.Labels{"role": string(c.Role), "version": c.Version},
	}, func() float64 { return 1 })
}

func readiness(w http.ResponseWriter, ready func() (bool, string)) {
	yes, sentence := ready()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !yes {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write([]byte(sentence + "\n")) // the asker may be gone
}

// bearer lets those through who show the token.
func bearer(next http.Handler, token understudy.Secret) http.Handler {
	want := sha256.Sum256([]byte(token)) // of one length, whatever is shown
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(shown))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "metrics are read with the token of metrics.token_file, as Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// gauges describes and sends numbers that are made when they are asked for.
type gauges map[string]*prometheus.Desc

// add describes a number once; a name that is used and was not added panics in
// the package's own tests.
func (g gauges) add(name, help string, labels ...string) {
	g[name] = prometheus.NewDesc("understudy_"+name, help, labels, nil)
}

// Describe implements half of prometheus.Collector.
func (g gauges) Describe(into chan<- *prometheus.Desc) {
	for _, d := range g {
		into <- d
	}
}

// sample is one answer in the making.
type sample struct {
	gauges
	into chan<- prometheus.Metric
}

func (s sample) gauge(name string, value float64, labels ...string) {
	s.into <- prometheus.MustNewConstMetric(s.gauges[name], prometheus.GaugeValue, value, labels...)
}

func (s sample) counter(name string, value float64, labels ...string) {
	s.into <- prometheus.MustNewConstMetric(s.gauges[name], prometheus.CounterValue, value, labels...)
}

func (s sample) yes(name string, value bool, labels ...string) {
	if value {
		s.gauge(name, 1, labels...)
		return
	}
	s.gauge(name, 0, labels...)
}
