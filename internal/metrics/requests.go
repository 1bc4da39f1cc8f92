package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests tells of the requests that a management server answered: claims,
// sign-ins and all others, by their route.
type Requests struct{ took *prometheus.HistogramVec }

// NewRequests returns the collector of requests.
func NewRequests() *Requests {
	return &Requests{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "understudy_http_request_seconds", Help: "How long requests took, by route and status; the service channel's end when its client leaves.",
		Buckets: []float64{0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 5, 30},
	}, []string{"route", "status"})}
}

// Describe implements prometheus.Collector.
func (r *Requests) Describe(into chan<- *prometheus.Desc) { r.took.Describe(into) }

// Collect implements prometheus.Collector.
func (r *Requests) Collect(into chan<- prometheus.Metric) { r.took.Collect(into) }

// Answered takes note of a request to one of the routes.
func (r *Requests) Answered(route string, status int, took time.Duration) {
	if status == 0 {
		status = http.StatusOK // nothing was written
	}
	r.took.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}
