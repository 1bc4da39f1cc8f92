package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"understudy"
)

// Server tells of a recording or failover server, from what it tells on its
// state port.
type Server struct {
	gauges
	config ServerConfig
}

// ServerConfig is whom a Server asks; none of them may wait.
type ServerConfig struct {
	State      func() understudy.State
	Assignment func() understudy.Assignment
	Heard      func() time.Time // when a management server was last heard
	RenewAt    func() time.Time // when the certificate is due for renewal
	Waiting    func() int       // events that the log has not taken yet
	// Syncs are how long the store's syncs took since the start.
	Syncs func() (count uint64, seconds float64, buckets map[float64]uint64)
}

// NewServer returns the collector of a recording or failover server.
func NewServer(c ServerConfig) *Server {
	s := &Server{gauges: gauges{}, config: c}
	const server, camera, folder = "server", "camera", "folder"
	s.add("server_epoch", "Highest epoch that the server has seen.", server)
	s.add("server_leaving", "1 while the server is about to stop on purpose.", server)
	s.add("server_management_heard_timestamp_seconds", "When a management server was last heard; 0: not yet.", server)
	s.add("server_certificate_renewal_timestamp_seconds", "When the certificate is due for renewal; it expires well after that.", server)
	s.add("server_events_waiting", "Events that the log has not taken yet.", server)
	s.add("readers_cut_off_total", "Readers of video that were cut off for slowness.", server)

	s.add("cameras_expected", "Cameras that the server is assigned to record.", server)
	s.add("cameras_recorded", "Of these, cameras whose footage becomes durable now, or that wait for an event as they should.", server)
	s.add("cameras_provisional", "Cameras that are recorded while the management server has not granted them.", server)
	s.add("cameras_short", "Cameras that the server should have and is short of capacity for.", server)
	s.add("cameras_mirrored", "Cameras whose stream is kept open for another server that records them.", server)
	s.add("cameras_mirrored_complete", "Of these, cameras of which a takeover now would lose nothing.", server)

	s.add("camera_frames_total", "Frames received.", server, camera)
	s.add("camera_bytes_per_second", "Rate as received; 0 until it is known.", server, camera)
	s.add("camera_receiving", "1 while frames come.", server, camera)
	s.add("camera_recording", "1 while footage becomes durable.", server, camera)
	s.add("camera_watermark_lag_seconds", "Age of the newest sample that is durable or, of a camera that waits for an event, in memory.", server, camera)
	s.add("camera_recordings_begun_total", "How often the recording began anew, so that frames may be missing.", server, camera)
	s.add("camera_fault", "1 while something is wrong with the camera; the state says what.", server, camera)
	s.add("camera_mirror_held_bytes", "Bytes of a mirrored camera that wait in memory.", server, camera)

	s.add("storage_writable", "1 while the folder can be written.", server, folder)
	s.add("storage_used_bytes", "Footage in the folder.", server, folder)
	s.add("storage_free_bytes", "Space left on the folder's disk.", server, folder)
	s.add("storage_sync_seconds", "How long it took to make footage durable, of each sync of a segment.", server)
	s.add("storage_unmerged_segments", "Segments that belong to another server and have not gone home.", server)
	s.add("storage_unmerged_bytes", "Bytes of these.", server)
	s.add("archive_reachable", "1 while the archive answers.", server)
	s.add("archive_bytes", "Footage of this server's cameras in the archive.", server)
	s.add("archive_waiting_segments", "Segments whose time to move to the archive has come.", server)

	s.add("transfer_left_bytes", "Footage that has yet to go home, or come home here.", server, "from", "to")
	s.add("transfer_left_segments", "Segments of these.", server, "from", "to")
	s.add("transfer_held_segments", "Segments that home refused, or that arrived damaged three times.", server, "from", "to")
	s.add("transfer_bytes_per_second", "Rate over the last seconds.", server, "from", "to")
	s.add("watched_answer_age_seconds", "How long ago a server that this one watches, and finds well, answered.", server, "watched")
	return s
}

// Collect implements prometheus.Collector.
func (s *Server) Collect(into chan<- prometheus.Metric) {
	state, now := s.config.State(), time.Now()
	tell, server := sample{s.gauges, into}, string(state.Server)
	tell.gauge("server_epoch", float64(state.Epoch), server)
	tell.yes("server_leaving", state.Leaving != "", server)
	tell.gauge("server_management_heard_timestamp_seconds", unix(s.config.Heard()), server)
	tell.gauge("server_certificate_renewal_timestamp_seconds", unix(s.config.RenewAt()), server)
	tell.gauge("server_events_waiting", float64(s.config.Waiting()), server)
	tell.counter("readers_cut_off_total", float64(state.CutOff), server)
	for _, c := range state.Cameras {
		tell.camera(server, c, now)
	}
	tell.cameras(server, state, s.config.Assignment())
	tell.storage(server, state.Storage)
	count, seconds, buckets := s.config.Syncs()
	into <- prometheus.MustNewConstHistogram(s.gauges["storage_sync_seconds"], count, seconds, buckets, server)
	for _, t := range state.Transfers {
		labels := []string{server, string(t.From), string(t.To)}
		tell.gauge("transfer_left_bytes", float64(t.BytesLeft), labels...)
		tell.gauge("transfer_left_segments", float64(t.SegmentsLeft), labels...)
		tell.gauge("transfer_held_segments", float64(t.Held), labels...)
		tell.gauge("transfer_bytes_per_second", float64(t.BytesPerSecond), labels...)
	}
	for _, seen := range state.Seen {
		tell.gauge("watched_answer_age_seconds", seen.Age.Seconds(), server, string(seen.Server))
	}
}

func (s sample) camera(server string, c understudy.CameraState, now time.Time) {
	camera := string(c.Camera)
	s.counter("camera_frames_total", float64(c.Frames), server, camera)
	s.gauge("camera_bytes_per_second", float64(c.BitsPerSecond)/8, server, camera)
	s.yes("camera_receiving", c.Receiving, server, camera)
	s.yes("camera_fault", c.Fault != "", server, camera)
	if c.Mirrored {
		s.gauge("camera_mirror_held_bytes", float64(c.Held), server, camera)
		return // another server records it
	}
	s.yes("camera_recording", c.Recording, server, camera)
	s.counter("camera_recordings_begun_total", float64(c.Run), server, camera)
	if newest := c.Newest().At; !newest.IsZero() { // a camera that never sent anything has no lag yet
		s.gauge("camera_watermark_lag_seconds", max(now.Sub(newest), 0).Seconds(), server, camera)
	}
}

// cameras counts what is assigned and what becomes of it.
func (s sample) cameras(server string, state understudy.State, assigned understudy.Assignment) {
	wanted := map[understudy.CameraID]bool{}
	for _, a := range assigned.Cameras {
		if a.Record && !a.Mirror {
			wanted[a.Camera.ID] = true
		}
	}
	recorded, provisional, mirrored, complete := 0, 0, 0, 0
	for _, c := range state.Cameras {
		switch {
		case c.Mirrored:
			mirrored++
			if c.Complete {
				complete++
			}
			continue
		case wanted[c.Camera] && (c.Recording || c.Waiting):
			recorded++
		}
		if c.Provisional {
			provisional++
		}
	}
	s.gauge("cameras_expected", float64(len(wanted)), server)
	s.gauge("cameras_recorded", float64(recorded), server)
	s.gauge("cameras_provisional", float64(provisional), server)
	s.gauge("cameras_short", float64(len(state.Short)), server)
	s.gauge("cameras_mirrored", float64(mirrored), server)
	s.gauge("cameras_mirrored_complete", float64(complete), server)
}

func (s sample) storage(server string, state understudy.StorageState) {
	for _, f := range state.Folders {
		s.yes("storage_writable", f.Writable, server, f.Dir)
		s.gauge("storage_used_bytes", float64(f.UsedBytes), server, f.Dir)
		s.gauge("storage_free_bytes", float64(f.FreeBytes), server, f.Dir)
	}
	s.gauge("storage_unmerged_segments", float64(state.UnmergedSegments), server)
	s.gauge("storage_unmerged_bytes", float64(state.UnmergedBytes), server)
	if a := state.Archive; a != nil {
		s.yes("archive_reachable", a.Reachable, server)
		s.gauge("archive_bytes", float64(a.Bytes), server)
		s.gauge("archive_waiting_segments", float64(a.Waiting), server)
	}
}

// unix returns seconds since 1970, 0 for no time.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
