package metrics

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"understudy"
)

// sitePatience bounds what the database may take for one answer: Prometheus
// gives up after 10 s.
const sitePatience = 5 * time.Second

// Site tells of a whole site as its management server sees it. It counts by
// server and never names cameras: those a site has a hundred thousand of, and
// their own servers tell of them.
type Site struct {
	gauges
	config SiteConfig
}

// SiteConfig is whom a Site asks.
type SiteConfig struct {
	// Site is what the channel knows, and whether it knows it yet.
	Site       func() (understudy.Site, bool)
	Status     func() []understudy.ServerStatus
	Preflights func(context.Context) ([]understudy.Preflight, error)
}

// NewClients returns the collector of a service channel, wherever it runs.
func NewClients(clients func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "understudy_channel_clients", Help: "Clients of the service channel."},
		func() float64 { return float64(clients()) })
}

// NewSite returns the collector of a management server.
func NewSite(c SiteConfig) *Site {
	s := &Site{gauges: gauges{}, config: c}
	const server = "server"
	s.add("site_known", "1 once the management server has read the site from its database.")
	s.add("site_log_sequence", "Number of the newest event.")
	s.add("site_cameras", "Cameras whose home the server is.", server)
	s.add("site_cameras_away", "Of these, cameras that another server holds.", server)
	s.add("site_cameras_recorded", "Of these, cameras that some server records now, or that wait for an event as they should.", server)
	s.add("site_cameras_held", "Cameras that the server holds the lease of.", server)
	s.add("site_server_reachable", "1 while the server answers on its state port.", server, "role")
	s.add("site_maintenance", "1 while the recording server is under maintenance.", server)
	s.add("site_handed_over", "1 while an operator's order hands the recording server's cameras over.", server)
	s.add("site_locks", "Locks on footage.")
	s.add("preflight_timestamp_seconds", "When the failover server last ended a pre-flight.", server)
	s.add("preflight_cameras", "Cameras that it tried.", server)
	s.add("preflight_cameras_reached", "Of these, cameras that were as they must be.", server)
	s.add("preflight_findings", "What would be in the way of a takeover; red: something would not be recorded.", server, "about", "red")
	return s
}

// Collect implements prometheus.Collector.
func (s *Site) Collect(into chan<- prometheus.Metric) {
	tell := sample{s.gauges, into}
	site, known := s.config.Site()
	tell.yes("site_known", known)
	if known {
		tell.site(site, s.config.Status(), time.Now())
	}
	ctx, cancel := context.WithTimeout(context.Background(), sitePatience)
	defer cancel()
	preflights, err := s.config.Preflights(ctx)
	if err != nil {
		into <- prometheus.NewInvalidMetric(s.gauges["preflight_findings"], err)
		return
	}
	for _, p := range preflights {
		tell.preflight(p)
	}
}

func (s sample) site(site understudy.Site, status []understudy.ServerStatus, now time.Time) {
	s.gauge("site_log_sequence", float64(site.Seq))
	s.gauge("site_locks", float64(len(site.Locks)))
	recorded := recordedSomewhere(status)
	homes, away, well := map[understudy.ServerID]int{}, map[understudy.ServerID]int{}, map[understudy.ServerID]int{}
	for _, c := range site.Cameras {
		homes[c.Home]++
		if l, ok := site.Lease(c.ID); ok && l.Holder != c.Home {
			away[c.Home]++
		}
		if recorded[c.ID] {
			well[c.Home]++
		}
	}
	for _, r := range site.RecordingServers {
		server := string(r.ID)
		s.gauge("site_cameras", float64(homes[r.ID]), server)
		s.gauge("site_cameras_away", float64(away[r.ID]), server)
		s.gauge("site_cameras_recorded", float64(well[r.ID]), server)
		s.yes("site_maintenance", r.Maintenance.Stands(now), server)
		s.yes("site_handed_over", r.HandOver.Stands(now), server)
	}
	held, reachable := site.Holders(), map[understudy.ServerID]bool{}
	for _, one := range status {
		reachable[one.Server] = one.Reachable
	}
	each := func(id understudy.ServerID, role understudy.Role) {
		s.gauge("site_cameras_held", float64(len(held[id])), string(id))
		s.yes("site_server_reachable", reachable[id], string(id), string(role))
	}
	for _, r := range site.RecordingServers {
		each(r.ID, understudy.RoleRecording)
	}
	for _, f := range site.FailoverServers {
		each(f.ID, understudy.RoleFailover)
	}
}

// recordedSomewhere names the cameras that a server which answers records.
func recordedSomewhere(status []understudy.ServerStatus) map[understudy.CameraID]bool {
	recorded := map[understudy.CameraID]bool{}
	for _, one := range status {
		if !one.Reachable || one.State == nil {
			continue
		}
		for _, c := range one.State.Cameras {
			if !c.Mirrored && (c.Recording || c.Waiting) {
				recorded[c.Camera] = true
			}
		}
	}
	return recorded
}

func (s sample) preflight(p understudy.Preflight) {
	server := string(p.Server)
	s.gauge("preflight_timestamp_seconds", unix(p.At), server)
	s.gauge("preflight_cameras", float64(p.Cameras), server)
	s.gauge("preflight_cameras_reached", float64(p.Reached), server)
	type kind struct {
		about understudy.Concern
		red   bool
	}
	count := map[kind]int{}
	for _, f := range p.Findings {
		count[kind{f.About, f.Red}]++
	}
	for _, red := range []bool{false, true} {
		for _, about := range []understudy.Concern{
			understudy.AboutCamera, understudy.AboutCredentials, understudy.AboutCodec, understudy.AboutSessions,
			understudy.AboutCapacity, understudy.AboutMemory, understudy.AboutDisk, understudy.AboutProcessor,
		} {
			s.gauge("preflight_findings", float64(count[kind{about, red}]), server, string(about), strconv.FormatBool(red))
		}
	}
}
