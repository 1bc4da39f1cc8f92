package metrics

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

func TestAServerTellsWhatItsStateSays(t *testing.T) {
	text := scrape(t, serverParts()...)
	requireLines(t, text,
		`understudy_build_info{role="failover",version="v1"} 1`,
		`understudy_server_epoch{server="fo1"} 7`,
		`understudy_server_leaving{server="fo1"} 0`,
		`understudy_server_management_heard_timestamp_seconds{server="fo1"} 1.8000000005e+09`,
		`understudy_server_certificate_renewal_timestamp_seconds{server="fo1"} 0`,
		`understudy_server_events_waiting{server="fo1"} 6`,
		`understudy_readers_cut_off_total{server="fo1"} 2`,
		`understudy_cameras_expected{server="fo1"} 2`, // not what is mirrored, nor what is served live only
		`understudy_cameras_recorded{server="fo1"} 1`,
		`understudy_cameras_provisional{server="fo1"} 1`,
		`understudy_cameras_short{server="fo1"} 1`,
		`understudy_cameras_mirrored{server="fo1"} 1`,
		`understudy_cameras_mirrored_complete{server="fo1"} 1`,
		`understudy_camera_frames_total{camera="lobby",server="fo1"} 100`,
		`understudy_camera_bytes_per_second{camera="lobby",server="fo1"} 500000`,
		`understudy_camera_fault{camera="door",server="fo1"} 1`,
		`understudy_camera_fault{camera="lobby",server="fo1"} 0`,
		`understudy_camera_recording{camera="lobby",server="fo1"} 1`,
		`understudy_camera_recordings_begun_total{camera="lobby",server="fo1"} 1`,
		`understudy_camera_mirror_held_bytes{camera="yard",server="fo1"} 2e+06`,
		`understudy_storage_writable{folder="/disk1",server="fo1"} 1`,
		`understudy_storage_writable{folder="/disk2",server="fo1"} 0`,
		`understudy_storage_free_bytes{folder="/disk1",server="fo1"} 2000`,
		`understudy_storage_sync_seconds_bucket{server="fo1",le="0.01"} 2`,
		`understudy_storage_sync_seconds_count{server="fo1"} 3`,
		`understudy_storage_unmerged_bytes{server="fo1"} 300`,
		`understudy_archive_waiting_segments{server="fo1"} 4`,
		`understudy_transfer_left_bytes{from="fo1",server="fo1",to="rec1"} 300`,
		`understudy_transfer_held_segments{from="fo1",server="fo1",to="rec1"} 1`,
		`understudy_watched_answer_age_seconds{server="fo1",watched="rec2"} 0.25`,
	)
	lag := regexp.MustCompile(`understudy_camera_watermark_lag_seconds\{camera="(.*)",server="fo1"\} (.*)`).FindAllStringSubmatch(text, -1)
	if len(lag) != 1 || lag[0][1] != "lobby" { // door never sent anything, and what yard sends another server records
		t.Fatalf("lags %v", lag)
	}
	if seconds, err := strconv.ParseFloat(lag[0][2], 64); err != nil || seconds < 60 || seconds > 90 {
		t.Errorf("the newest sample is a minute old, not %s s", lag[0][2])
	}
}

func TestASiteIsCountedByServer(t *testing.T) {
	parts, requests, _ := siteParts(nil)
	requests.Answered("POST /api/v1/leases/claim", 0, 15*time.Millisecond)
	requests.Answered("POST /api/v1/sign-in", 401, time.Second)
	requireLines(t, scrape(t, parts...),
		`understudy_site_known 1`,
		`understudy_site_log_sequence 42`,
		`understudy_site_locks 1`,
		`understudy_site_cameras{server="rec1"} 3`,
		`understudy_site_cameras_away{server="rec1"} 1`,
		`understudy_site_cameras_recorded{server="rec1"} 1`,
		`understudy_site_cameras_held{server="rec1"} 2`,
		`understudy_site_cameras_held{server="fo1"} 1`,
		`understudy_site_server_reachable{role="recording",server="rec1"} 0`,
		`understudy_site_server_reachable{role="failover",server="fo1"} 1`,
		`understudy_site_maintenance{server="rec1"} 0`,
		`understudy_site_handed_over{server="rec1"} 0`,
		`understudy_preflight_timestamp_seconds{server="fo1"} 1.8e+09`,
		`understudy_preflight_cameras_reached{server="fo1"} 2`,
		`understudy_preflight_findings{about="camera",red="true",server="fo1"} 1`,
		`understudy_preflight_findings{about="disk",red="false",server="fo1"} 1`,
		`understudy_preflight_findings{about="disk",red="true",server="fo1"} 0`,
		`understudy_channel_clients 12`,
		`understudy_notifications_sent_total{target="operators"} 5`, `understudy_notifications_failed_total{target="operators"} 2`,
		`understudy_notifications_dropped_events_total{target="operators"} 3`, `understudy_notifications_waiting_events{target="operators"} 1`,
		`understudy_http_request_seconds_bucket{route="POST /api/v1/leases/claim",status="200",le="0.02"} 1`,
		`understudy_http_request_seconds_count{route="POST /api/v1/sign-in",status="401"} 1`,
	)
}

// A database that is away must not hide what the rest of the server knows.
func TestOnePartThatFailsHidesNoOther(t *testing.T) {
	text := scrape(t, NewSite(SiteConfig{
		Site:       func() (understudy.Site, bool) { return understudy.Site{}, false },
		Status:     func() []understudy.ServerStatus { return nil },
		Preflights: func(context.Context) ([]understudy.Preflight, error) { return nil, errors.New("no database") },
	}), NewClients(func() int { return 3 }))
	requireLines(t, text, `understudy_site_known 0`, `understudy_channel_clients 3`)
	if strings.Contains(text, "understudy_preflight") {
		t.Errorf("pre-flights that are not known were told of")
	}
}

// story is a feed that tells of a takeover and of what became of it, and then is lost once.
type story struct{ follows int }

func (s *story) Follow(ctx context.Context, after understudy.Cursor, f func(understudy.Update) error) error {
	s.follows++
	if s.follows > 1 {
		if after.Seq != 48 {
			return errors.New("it was to be resumed after the last event")
		}
		<-ctx.Done()
		return ctx.Err()
	}
	site := siteOf()
	if err := f(understudy.Update{Cursor: understudy.Cursor{Stream: "log", Seq: site.Seq}, Site: &site}); err != nil {
		return err
	}
	begun := time.Unix(1_800_000_100, 0)
	lease := func(camera understudy.CameraID, holder understudy.ServerID) understudy.Change {
		return understudy.Change{Lease: &understudy.Lease{Camera: camera, Holder: holder}}
	}
	milestone := func(kind understudy.MilestoneKind, camera understudy.CameraID, at time.Duration) understudy.Change {
		return understudy.Change{Milestone: &understudy.Milestone{Kind: kind, Camera: camera, At: begun.Add(at)}}
	}
	for i, e := range []understudy.Event{
		{Kind: understudy.EventServer, Changes: []understudy.Change{milestone(understudy.MilestoneSuspected, "", 0)}},
		{Kind: understudy.EventTakeover, Decided: begun, At: begun.Add(40 * time.Millisecond),
			Changes: []understudy.Change{lease("door", "fo1"), lease("yard", "fo1"), milestone(understudy.MilestoneHeard, "", -700*time.Millisecond)}},
		{Kind: understudy.EventServer, Changes: []understudy.Change{milestone(understudy.MilestoneDurable, "door", 1500*time.Millisecond)}},
		{Kind: understudy.EventRefused},
		// lobby was away before the log was followed: since 100 s before the takeover.
		{Kind: understudy.EventFailback, At: begun.Add(10 * time.Minute), Changes: []understudy.Change{lease("door", "rec1"), lease("lobby", "rec1")}},
		{Kind: understudy.EventIncident, Changes: []understudy.Change{{Account: &understudy.CameraAccount{Milliseconds: 1500}}, {Account: &understudy.CameraAccount{Milliseconds: 500}}}},
	} {
		e.Seq = site.Seq + 1 + uint64(i)
		if err := f(understudy.Update{Cursor: understudy.Cursor{Stream: "log", Seq: e.Seq}, Event: &e}); err != nil {
			return err
		}
	}
	return errors.New("lost")
}

func TestTheLogIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := &story{}
		log := NewLog(feed, slog.New(slog.DiscardHandler))
		requireLines(t, scrape(t, log), `understudy_events_total{kind="takeover"} 0`, `understudy_milestones_total{milestone="veto"} 0`)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- log.Run(ctx) }()
		time.Sleep(2 * followAgain) // virtual; it is followed again once
		synctest.Wait()
		if feed.follows != 2 {
			t.Errorf("the log was followed %d times", feed.follows)
		}
		requireLines(t, scrape(t, log),
			`understudy_events_total{kind="takeover"} 1`, `understudy_events_total{kind="server"} 2`, `understudy_events_total{kind="refused"} 1`,
			`understudy_leases_moved_total{kind="takeover"} 2`, `understudy_leases_moved_total{kind="failback"} 2`,
			`understudy_milestones_total{milestone="suspected"} 1`, `understudy_milestones_total{milestone="durable"} 1`,
			`understudy_takeover_decision_seconds_sum 0.7`, `understudy_takeover_decision_seconds_count 1`,
			`understudy_takeover_grant_seconds_sum 0.04`,
			`understudy_takeover_durable_seconds_sum 1.5`, `understudy_takeover_durable_seconds_count 1`,
			`understudy_stand_in_seconds_sum 1299.96`, `understudy_stand_in_seconds_count 2`,
			`understudy_incidents_over_total 1`, `understudy_incident_missing_seconds_total 2`,
		)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}
