package site_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"understudy/internal/site"
)

const metricsPort = 9464

// scraped returns the value of a line of a server's metrics; not ok without it.
func scraped(ctx context.Context, t *testing.T, host, line string) (value float64, ok bool) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, strconv.Itoa(metricsPort))+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return 0, false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, false
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(line) + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		return 0, false
	}
	value, err = strconv.ParseFloat(string(found[1]), 64)
	return value, err == nil
}

// TestMetricsTellOfAFailure: what an operator's alerts are made of says what
// happens, on the real servers, before a recording server is killed and after.
func TestMetricsTellOfAFailure(t *testing.T) {
	s := up(t, false)
	page, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	now, err := s.Client.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host := func(media string) string { h, _, _ := strings.Cut(media, ":"); return h }
	management, rec1, fo1 := page.Hostname(), host(now.RecordingServers[0].Addresses.Media), host(now.FailoverServers[0].Addresses.Media)
	require := func(at, line string, right func(float64) bool) {
		t.Helper()
		eventually(t, line, func(ctx context.Context) bool {
			value, ok := scraped(ctx, t, at, line)
			return ok && right(value)
		})
	}
	is := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }
	require(rec1, `understudy_cameras_expected{server="rec1"}`, is(2))
	require(rec1, `understudy_cameras_recorded{server="rec1"}`, is(2))
	require(rec1, `understudy_camera_watermark_lag_seconds{camera="north",server="rec1"}`, func(v float64) bool { return v < 10 })
	require(rec1, `understudy_storage_sync_seconds_count{server="rec1"}`, func(v float64) bool { return v > 2 })
	require(fo1, `understudy_cameras_expected{server="fo1"}`, is(0))
	require(fo1, `understudy_watched_answer_age_seconds{server="fo1",watched="rec1"}`, func(v float64) bool { return v < 10 })
	require(management, `understudy_site_cameras{server="rec1"}`, is(2))
	require(management, `understudy_site_cameras_recorded{server="rec1"}`, is(2))
	require(management, `understudy_site_cameras_away{server="rec1"}`, is(0))
	require(management, `understudy_site_server_reachable{role="recording",server="rec1"}`, is(1))

	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	require(management, `understudy_site_cameras_away{server="rec1"}`, is(2))
	require(management, `understudy_site_server_reachable{role="recording",server="rec1"}`, is(0))
	require(management, `understudy_leases_moved_total{kind="takeover"}`, is(2))
	require(management, `understudy_takeover_durable_seconds_count`, is(2))
	require(management, `understudy_http_request_seconds_count{route="POST /api/v1/leases/claim",status="200"}`, func(v float64) bool { return v >= 1 })
	require(fo1, `understudy_cameras_recorded{server="fo1"}`, is(2))
}
