package recording

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"understudy"
	"understudy/internal/identity"
)

// Who played and exported what, and who was refused, is told once, with the range and
// from where, whatever the way and in however many requests; and the event log takes it.
func TestUsesOfFootageAreTold(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	r, lobby := site.recorder(t)
	token := func(user string, role understudy.UserRole) string {
		signed, err := site.authority.SignToken(understudy.Identity{User: user, Address: "192.0.2.9", Actions: role.Actions(), Cameras: []understudy.CameraID{"lobby"}}, identity.MaxTokenAge)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed.Token)
	}
	plain, err := identity.UserTLS(site.authority.CACertificate())
	if err != nil {
		t.Fatal(err)
	}
	until(t, "three seconds of lobby are durable", func() bool {
		segments, err := r.store.Segments(t.Context(), "lobby", lobby.Start, lobby.Start.Add(3*time.Second), false)
		return err == nil && len(segments) > 0 && segments[len(segments)-1].End.After(lobby.Start.Add(3*time.Second))
	})
	get := func(as asker, path string, status int) string {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.addresses.Media+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if as.token != "" {
			request.Header.Set("Authorization", "Bearer "+as.token)
		}
		response, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: as.tls, DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status {
			t.Errorf("%s: %s, %v", path, response.Status, err)
		}
		return string(body)
	}
	at := func(t time.Time) string { return url.QueryEscape(t.Format(time.RFC3339Nano)) }
	span := "from=" + at(lobby.Start) + "&to=" + at(lobby.Start.Add(2*time.Second))
	for _, as := range []asker{{token("olga", understudy.RoleOperator), plain}, {"", site.join("fo-1", understudy.RoleFailover).ClientTLS("rec-1")}} {
		for range 3 {
			get(as, "/v1/cameras/lobby/media.mp4?"+span, 200)
			get(as, "/v1/cameras/lobby/export.mp4?"+span, 200)
		}
		get(as, "/v1/cameras/lobby/media.mp4?download=1&"+span, 200)
		get(as, "/v1/segments/"+lobby.ID.String()+".mp4", 200)
		get(as, "/v1/cameras/lobby/segments?"+span, 200) // which shows no picture
		get(as, "/v1/cameras/lobby/still?at="+at(lobby.Start), 200)
	}
	hana := token("hana", understudy.RoleOperator) // by a playlist, whose parts come by a ticket
	list := get(asker{"", plain}, "/v1/cameras/lobby/hls/index.m3u8?"+span+"&token="+hana, 200)
	parts := regexp.MustCompile(`(?m)^part.*$`).FindAllString(list, -1)
	for _, part := range parts {
		get(asker{"", plain}, "/v1/cameras/lobby/hls/"+part, 200)
	}
	vera := token("vera", understudy.RoleViewer)
	for range 5 {
		get(asker{vera, plain}, "/v1/cameras/lobby/export.mp4?"+span, 403)
	}
	get(asker{"garbage", plain}, "/v1/cameras/lobby/export.mp4?"+span, 401)
	get(asker{token("olga", understudy.RoleOperator), plain}, "/v1/cameras/lobby/export.mp4?from=2020-01-01T00:00:00Z&to=2020-01-01T00:01:00Z", 404)

	clock := "clock=" + lobby.Start.UTC().Format("20060102T150405.000Z") + "-" + lobby.Start.Add(2*time.Second).UTC().Format("20060102T150405.000Z")
	rosa, err := asker{token("rosa", understudy.RoleOperator), plain}.rtsp(t, r.addresses.Media)
	if err != nil {
		t.Fatal(err)
	}
	if last, _, _, err := rosa.hold([]string{"SETUP /lobby/trackID=0", "PLAY /lobby " + clock}); err != nil || last != base.StatusOK {
		t.Fatalf("PLAY: %d, %v", last, err)
	}
	for packet := false; !packet; { // else it may be that nothing was sent yet
		came, err := rosa.Read()
		if err != nil {
			t.Fatal(err)
		}
		_, packet = came.(*base.InterleavedFrame)
	}
	veras, err := asker{vera, plain}.rtsp(t, r.addresses.Media)
	if err != nil {
		t.Fatal(err)
	}
	if _, refused, _, _ := veras.hold([]string{"SETUP /lobby/trackID=0", "PLAY /lobby " + clock}); !refused {
		t.Error("vera may play by RTSP")
	}
	r.stop()
	r.uses.Close()
	site.expectUses(t, r, lobby, len(parts))
}

// expectUses delivers what was reported to a management server and reads its log.
func (i *installation) expectUses(t *testing.T, r *running, lobby understudy.Segment, parts int) {
	t.Helper()
	log := newManagement(t, i)
	close(r.reports)
	var told []string
	for report := range r.reports {
		if report.Use == nil {
			continue
		}
		if err := log.Report(t.Context(), "rec-1", report); err != nil {
			t.Fatal(err)
		}
		footage := report.Use.Footage
		whole := len(footage) == 1 && !footage[0].From.After(lobby.Start) && !footage[0].From.Before(lobby.Start.Truncate(time.Second))
		if whole != !report.Use.Refused {
			t.Errorf("of %s's %s is told %v, and the footage begins at %s", report.Use.User, report.Use.Action, footage, lobby.Start)
		}
		wanted := map[string]int{"olga played": 4, "olga exported": 5, "hana played": parts, "vera exported": 5, "vera played": 1, "rosa played": 1}
		what := map[understudy.Action]string{understudy.ActionPlayback: " played", understudy.ActionExport: " exported"}[report.Use.Action]
		if n := wanted[report.Use.User+what]; n != report.Use.Requests || n == 0 {
			t.Errorf("%s%s in %d requests, want %d", report.Use.User, what, report.Use.Requests, n)
		}
	}
	events, err := log.Events(t.Context(), understudy.EventQuery{Kind: understudy.EventAccess, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Server != "rec-1" || e.From != "127.0.0.1" || !strings.HasSuffix(e.Sentence, " from 127.0.0.1, with a media token given out to 192.0.2.9.") {
			t.Errorf("the log has %+v", e)
		}
		words := strings.Fields(e.Sentence)
		told = append(told, e.Actor+" "+strings.Join(words[1:3], " "))
	}
	slices.Sort(told)
	if want := []string{"user:hana played lobby", "user:olga exported lobby", "user:olga played lobby", "user:rosa played lobby", "user:vera was refused", "user:vera was refused"}; !slices.Equal(told, want) {
		t.Errorf("the log tells %q, want %q", told, want)
	}
}
