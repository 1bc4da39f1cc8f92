package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"understudy"
)

// followAgain is waited before a log that was lost is followed again.
const followAgain = time.Second

// Log counts what the event log tells, from the moment at which it begins to
// follow: each management server counts the whole log for itself.
type Log struct {
	feed understudy.Feed
	log  *slog.Logger

	events, moved, milestones         *prometheus.CounterVec
	incidents, missing                prometheus.Counter
	decision, grant, durable, standIn prometheus.Histogram

	// of cameras that are away; touched by follow only
	decided map[understudy.CameraID]time.Time
	away    map[understudy.CameraID]time.Time
}

// NewLog returns the collector of an event log; Run follows it.
func NewLog(feed understudy.Feed, log *slog.Logger) *Log {
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "understudy_" + name, Help: help}, []string{label})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "understudy_" + name, Help: help})
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "understudy_" + name, Help: help, Buckets: buckets})
	}
	moments := []float64{0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60}
	l := &Log{
		feed: feed, log: log, decided: map[understudy.CameraID]time.Time{}, away: map[understudy.CameraID]time.Time{},
		events:     counters("events_total", "Events of the log.", "kind"),
		moved:      counters("leases_moved_total", "Leases of cameras that moved, by takeover or failback.", "kind"),
		milestones: counters("milestones_total", "Moments of failovers that servers told of: suspicions, vetoes, decisions and so on.", "milestone"),
		incidents:  counter("incidents_over_total", "Incidents that are over: all footage is home and counted."),
		missing:    counter("incident_missing_seconds_total", "Footage that is missing after incidents, as counted at their end."),
		decision:   histogram("takeover_decision_seconds", "From the last answer of a recording server to the decision to take over, each takeover.", moments...),
		grant:      histogram("takeover_grant_seconds", "From the decision to the granted lease, each takeover; the clocks of two servers.", moments...),
		durable:    histogram("takeover_durable_seconds", "From the decision to the first durable sample, each camera.", moments...),
		standIn:    histogram("stand_in_seconds", "How long a camera was away from its home.", 10, 60, 300, 900, 3600, 4*3600, 12*3600, 24*3600, 7*24*3600),
	}
	for _, kind := range understudy.EventKinds() {
		l.events.WithLabelValues(string(kind)) // 0 from the start, so that the first one is a rise
	}
	for _, kind := range []understudy.EventKind{understudy.EventTakeover, understudy.EventFailback} {
		l.moved.WithLabelValues(string(kind))
	}
	for _, kind := range []understudy.MilestoneKind{understudy.MilestoneSuspected, understudy.MilestoneVeto, understudy.MilestoneDecided} {
		l.milestones.WithLabelValues(string(kind))
	}
	return l
}

func (l *Log) parts() []prometheus.Collector {
	return []prometheus.Collector{l.events, l.moved, l.milestones, l.incidents, l.missing, l.decision, l.grant, l.durable, l.standIn}
}

// Describe implements prometheus.Collector.
func (l *Log) Describe(into chan<- *prometheus.Desc) {
	for _, part := range l.parts() {
		part.Describe(into)
	}
}

// Collect implements prometheus.Collector.
func (l *Log) Collect(into chan<- prometheus.Metric) {
	for _, part := range l.parts() {
		part.Collect(into)
	}
}

// Run follows the log until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	var at understudy.Cursor
	for {
		err := l.feed.Follow(ctx, at, func(u understudy.Update) error {
			switch {
			case u.Site != nil:
				l.begin(*u.Site)
			case u.Event != nil:
				l.count(*u.Event)
			default:
				return nil
			}
			at = u.Cursor
			return nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.log.Warn("the event log is not counted for a moment; it is followed again", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followAgain):
		}
	}
}

// begin learns which cameras are away already.
func (l *Log) begin(site understudy.Site) {
	clear(l.decided)
	clear(l.away)
	for _, c := range site.Cameras {
		if lease, ok := site.Lease(c.ID); ok && lease.Holder != c.Home {
			l.away[c.ID] = lease.Since
		}
	}
}

func (l *Log) count(e understudy.Event) {
	l.events.WithLabelValues(string(e.Kind)).Inc()
	if e.Kind == understudy.EventTakeover && !e.Decided.IsZero() {
		l.grant.Observe(max(e.At.Sub(e.Decided), 0).Seconds())
	}
	counted := false
	for _, c := range e.Changes {
		switch {
		case c.Lease != nil:
			l.move(e, *c.Lease)
		case c.Milestone != nil:
			l.milestone(e, *c.Milestone)
		case c.GoneCamera != "":
			delete(l.decided, c.GoneCamera)
			delete(l.away, c.GoneCamera)
		case c.Account != nil:
			l.missing.Add(float64(c.Account.Milliseconds) / 1000)
			counted = true
		}
	}
	if counted {
		l.incidents.Inc()
	}
}

func (l *Log) move(e understudy.Event, lease understudy.Lease) {
	switch e.Kind {
	case understudy.EventTakeover:
		l.moved.WithLabelValues(string(e.Kind)).Inc()
		l.decided[lease.Camera] = e.Decided
		if l.away[lease.Camera].IsZero() { // a second failover server may carry it on
			l.away[lease.Camera] = e.At
		}
	case understudy.EventFailback:
		l.moved.WithLabelValues(string(e.Kind)).Inc()
		if since := l.away[lease.Camera]; !since.IsZero() {
			l.standIn.Observe(e.At.Sub(since).Seconds())
		}
		delete(l.decided, lease.Camera)
		delete(l.away, lease.Camera)
	}
}

func (l *Log) milestone(e understudy.Event, m understudy.Milestone) {
	l.milestones.WithLabelValues(string(m.Kind)).Inc()
	switch {
	case m.Kind == understudy.MilestoneHeard && e.Kind == understudy.EventTakeover && !e.Decided.IsZero():
		l.decision.Observe(max(e.Decided.Sub(m.At), 0).Seconds())
	case m.Kind == understudy.MilestoneDurable && !l.decided[m.Camera].IsZero():
		l.durable.Observe(max(m.At.Sub(l.decided[m.Camera]), 0).Seconds())
		delete(l.decided, m.Camera) // the first counts
	}
}
