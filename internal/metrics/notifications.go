package metrics

import "github.com/prometheus/client_golang/prometheus"

// Notification is what became of the messages to one target since the start.
type Notification struct {
	Target       string
	Sent, Failed uint64
	Dropped      uint64
	Waiting      int
}

// Notifications tells of the messages that a management server sends.
type Notifications struct {
	gauges
	counts func() []Notification
}

// NewNotifications returns the collector of notifications.
func NewNotifications(counts func() []Notification) *Notifications {
	n := &Notifications{gauges: gauges{}, counts: counts}
	n.add("notifications_sent_total", "Messages that a target of notify took; to syslog, lots of events.", "target")
	n.add("notifications_failed_total", "Attempts at which it did not.", "target")
	n.add("notifications_dropped_events_total", "Events that no message told of one by one: too many at once, or too long ago.", "target")
	n.add("notifications_waiting_events", "Events that wait to be told, 500 at most; for syslog, the rest waits in the log.", "target")
	return n
}

// Collect implements prometheus.Collector.
func (n *Notifications) Collect(into chan<- prometheus.Metric) {
	tell := sample{n.gauges, into}
	for _, c := range n.counts() {
		tell.counter("notifications_sent_total", float64(c.Sent), c.Target)
		tell.counter("notifications_failed_total", float64(c.Failed), c.Target)
		tell.counter("notifications_dropped_events_total", float64(c.Dropped), c.Target)
		tell.gauge("notifications_waiting_events", float64(c.Waiting), c.Target)
	}
}
