package recording

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/media"
)

// The identities that every object of a recording server's ports is tried with. It
// records lobby and yard; vera, olga, rosa and ada are shown by media tokens.
const (
	stranger     = "nobody"
	garbage      = "a token that nobody gave out"
	forged       = "ada's token with another body"
	expired      = "ada's token of long ago"
	foreignToken = "a token of another installation"
	yara         = "an operator of yard alone"
	vera         = "a viewer of lobby"
	olga         = "an operator of lobby"
	gus          = "by a role of the site's own, sees and plays a group that lobby is in, hears nothing and takes nothing away"
	rosa         = "an operator of a group of five thousand cameras that lobby is in"
	ada          = "an administrator"
	rec2         = "recording server rec-2"
	fo1          = "failover server fo-1"
	managing     = "management server mgmt"
	channelOne   = "channel ch-1"
	revoked      = "failover server fo-2, whose certificate was revoked"
	otherInstall = "rec-2 of another installation"
)

var everyone = []string{stranger, garbage, forged, expired, foreignToken, yara, vera, olga, gus, rosa, ada, rec2, fo1, managing, channelOne, revoked, otherInstall}

// Who may do what to lobby. A channel may see the status, and no camera.
var (
	peers       = []string{rec2, fo1, managing}
	allowedLive = slices.Concat([]string{vera, olga, gus, rosa, ada}, peers)
	allowedPlay = slices.Concat([]string{olga, gus, rosa, ada}, peers)
	allowedAll  = slices.Concat([]string{olga, rosa, ada}, peers) // export and events
	welcome     = slices.DeleteFunc(slices.Clone(everyone), noConnection)
)

// noConnection says who does not come as far as a request.
func noConnection(who string) bool { return who == revoked || who == otherInstall }

// access is an object, and who gets it; all others are refused.
type access struct {
	request string // METHOD and path; {range} and {part} are filled in
	body    string
	allowed []string
	status  int // of those who get it; 0 is 200
}

// served has a row for each pattern of the media port's HTTP side, and for each right that one is under.
var served = map[string][]access{
	"GET /health":                                {{request: "GET /health", allowed: welcome}},
	"GET /v1/cameras/{camera}/live":              {{allowed: allowedLive, status: http.StatusSwitchingProtocols}},
	"GET /v1/cameras/{camera}/live.mp4":          {{allowed: allowedLive}},
	"GET /v1/cameras/{camera}/segments":          {{request: "GET /v1/cameras/lobby/segments?marks=1&{range}", allowed: allowedPlay}},
	"GET /v1/cameras/{camera}/notes":             {{request: "GET /v1/cameras/lobby/notes?{range}", allowed: allowedPlay}},
	"GET /v1/cameras/{camera}/media.mp4":         {{request: "GET /v1/cameras/lobby/media.mp4?{range}", allowed: allowedPlay}, {request: "GET /v1/cameras/lobby/media.mp4?download=1&{range}", allowed: allowedAll}},
	"GET /v1/cameras/{camera}/export.mp4":        {{request: "GET /v1/cameras/lobby/export.mp4?{range}", allowed: allowedAll}},
	"GET /v1/cameras/{camera}/still":             {{allowed: allowedLive}, {request: "GET /v1/cameras/lobby/still?at={at}", allowed: allowedPlay}},
	"GET /v1/cameras/{camera}/statement":         {{request: "GET /v1/cameras/lobby/statement?nonce=0123456789abcdef", allowed: allowedLive}},
	"GET /v1/cameras/{camera}/hls/master.m3u8":   {{allowed: allowedLive}, {request: "GET /v1/cameras/lobby/hls/master.m3u8?{range}", allowed: allowedPlay}},
	"GET /v1/cameras/{camera}/hls/live.m3u8":     {{allowed: allowedLive}},
	"GET /v1/cameras/{camera}/hls/live/init.mp4": {{request: "GET /v1/cameras/lobby/hls/live/init.mp4?n=0", allowed: allowedLive}},
	"GET /v1/cameras/{camera}/hls/live/part.m4s": {{request: "GET /v1/cameras/lobby/hls/live/part.m4s?msn=1000000", allowed: allowedLive, status: http.StatusNotFound}},
	"GET /v1/cameras/{camera}/hls/index.m3u8":    {{request: "GET /v1/cameras/lobby/hls/index.m3u8?{range}", allowed: allowedPlay}},
	"GET /v1/cameras/{camera}/hls/init.mp4":      {{request: "GET /v1/cameras/lobby/hls/init.mp4?segment={segment}", allowed: allowedPlay}},
	"GET /v1/cameras/{camera}/hls/part.m4s":      {{request: "GET /v1/cameras/lobby/hls/part.m4s?segment={segment}&first=0&count=5&number=1&base={at}", allowed: allowedPlay}},
	"GET /v1/segments/{camera}/{name}":           {{request: "GET /v1/segments/lobby/{segment}.mp4", allowed: allowedPlay}},
	"POST /v1/cameras/{camera}/events":           {{body: `{"name":"door forced"}`, allowed: allowedAll}},
}

// asker is an identity on the media port: what it shows, and by which TLS.
type asker struct {
	token string
	tls   *tls.Config
}

// askers are everyone, who come to rec-1.
func (i *installation) askers(t *testing.T, at *identity.Node) map[string]asker {
	t.Helper()
	plain, err := identity.UserTLS(i.authority.CACertificate())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(by *identity.Authority, user string, role understudy.UserRole, cameras ...understudy.CameraID) string {
		token, err := by.SignToken(understudy.Identity{User: user, Actions: role.Actions(), Cameras: cameras}, identity.MaxTokenAge)
		if err != nil {
			t.Fatal(err)
		}
		return string(token.Token)
	}
	all := understudy.AllCameras
	admin := sign(i.authority, "ada", understudy.RoleAdministrator, all)
	body := strings.Split(sign(i.authority, "ada", understudy.RoleAdministrator, "lobby", "yard"), ".")[1]
	signed := strings.Split(admin, ".")
	of := func(user string, role understudy.UserRole, group understudy.CameraGroupID) string {
		token, err := i.authority.SignToken(groups().Identity(user, []understudy.Grant{{Role: role, CameraGroups: []understudy.CameraGroupID{group}}}), identity.MaxTokenAge)
		if err != nil {
			t.Fatal(err)
		}
		return string(token.Token)
	}
	var old string
	synctest.Test(t, func(*testing.T) { // where the year is 2000
		old = sign(i.authority, "ada", understudy.RoleAdministrator, all)
	})
	other := newInstallation(t)
	server := func(id understudy.ServerID, role understudy.Role) asker {
		return asker{tls: i.join(id, role).ClientTLS("rec-1")}
	}
	asked := map[string]asker{
		stranger: {tls: plain}, garbage: {"garbage", plain}, expired: {old, plain},
		forged:       {signed[0] + "." + body + "." + signed[2], plain},
		foreignToken: {sign(other.authority, "ada", understudy.RoleAdministrator, all), plain},
		yara:         {sign(i.authority, "yara", understudy.RoleOperator, "yard"), plain},
		vera:         {sign(i.authority, "vera", understudy.RoleViewer, "lobby"), plain},
		olga:         {sign(i.authority, "olga", understudy.RoleOperator, "lobby"), plain},
		gus:          {of("gus", "guard", "doors"), plain}, rosa: {of("rosa", understudy.RoleOperator, "wing"), plain},
		ada:  {admin, plain},
		rec2: server("rec-2", understudy.RoleRecording), fo1: server("fo-1", understudy.RoleFailover),
		managing: server("mgmt", understudy.RoleManagement), channelOne: server("ch-1", understudy.RoleChannel),
		revoked: server("fo-2", understudy.RoleFailover),
	}
	impostor := asked[rec2].tls.Clone() // it trusts this site, and shows what that does not know
	impostor.GetClientCertificate = other.join("rec-2", understudy.RoleRecording).ClientTLS("rec-1").GetClientCertificate
	asked[otherInstall] = asker{tls: impostor}
	trust := i.authority.Trust()
	trust.Revoked = []understudy.Revocation{{Server: "fo-2", Before: time.Now().Add(time.Hour)}}
	if err := at.UpdateTrust(trust); err != nil {
		t.Fatal(err)
	}
	return asked
}

// ask returns the status and the start of the answer; 0 when the connection was refused.
func (a asker) ask(t *testing.T, address string, object access) (status int, text string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	method, path, _ := strings.Cut(object.request, " ")
	request, err := http.NewRequestWithContext(ctx, method, "https://"+address+path, strings.NewReader(object.body))
	if err != nil {
		t.Fatal(err)
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	if object.status == http.StatusSwitchingProtocols {
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="} {
			request.Header.Set(name, value)
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: a.tls, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	if response.StatusCode < 300 {
		return response.StatusCode, "" // live pictures never end
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// groups is a site's role and groups of cameras; of wing a token cannot name all.
func groups() understudy.Site {
	wing := []understudy.CameraID{"lobby"}
	for n := range 5000 {
		wing = append(wing, understudy.CameraID(fmt.Sprintf("wing-%04d", n)))
	}
	return understudy.Site{Seq: 1,
		CameraGroups: []understudy.CameraGroup{{ID: "doors", Cameras: []understudy.CameraID{"lobby"}}, {ID: "wing", Cameras: wing}},
		Roles:        []understudy.SiteRole{{Name: "guard", Actions: []understudy.Action{understudy.ActionLive, understudy.ActionPlayback}}}}
}

// recorder is a recording server with a minute's worth to show of lobby.
func (i *installation) recorder(t *testing.T) (r *running, lobby understudy.Segment) {
	t.Helper()
	r = i.start(i.join("rec-1", understudy.RoleRecording), options{})
	a := cameras(t, "rec-1", "lobby", "yard")
	r.Apply(a)
	r.SetSite(groups())
	until(t, "a second of lobby is recorded, and yard", func() bool {
		segments, err := r.store.Segments(t.Context(), "lobby", time.Time{}, time.Now().Add(time.Hour), true)
		if err != nil {
			t.Fatal(err)
		}
		if len(segments) > 0 {
			lobby = segments[0]
		}
		return len(lobby.Marks) > 30 && len(r.Covered()) == len(a.Cameras)
	})
	return r, lobby
}

// fill completes the request of a row, by default its pattern for lobby.
func (a access) fill(pattern string, lobby understudy.Segment) access {
	if a.request == "" {
		a.request = strings.Replace(pattern, "{camera}", "lobby", 1)
	}
	at := func(t time.Time) string { return url.QueryEscape(t.Format(time.RFC3339Nano)) }
	a.request = strings.NewReplacer("{range}", "from="+at(lobby.Start)+"&to="+at(lobby.Start.Add(time.Second)), "{at}", at(lobby.Start),
		"{segment}", lobby.ID.String()[len("lobby/"):]).Replace(a.request)
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a
}

// TestAccess tries every object of a recording server's media port with every identity.
func TestAccess(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	r, lobby := site.recorder(t)
	askers := site.askers(t, r.node)
	for _, pattern := range media.Patterns() {
		if len(served[pattern]) == 0 {
			t.Errorf("nobody says in the table who may use %s", pattern)
		}
		for _, object := range served[pattern] {
			object = object.fill(pattern, lobby)
			for _, who := range everyone {
				status, text := askers[who].ask(t, r.addresses.Media, object)
				if err := object.judge(who, askers[who], status, text); err != nil {
					t.Error(err)
				}
			}
			for _, camera := range []string{"/yard", "/nowhere"} { // of which nobody is told whether it is there
				elsewhere := access{request: strings.Replace(object.request, "/lobby", camera, 1), body: object.body, status: object.status}
				for _, who := range []string{vera, olga, gus, rosa} {
					status, text := askers[who].ask(t, r.addresses.Media, elsewhere)
					if err := elsewhere.judge(who, askers[who], status, text); err != nil && pattern != "GET /health" {
						t.Error(err)
					}
				}
			}
		}
	}
	for pattern := range served {
		if !slices.Contains(media.Patterns(), pattern) {
			t.Errorf("the table has %s, which is no route", pattern)
		}
	}
}

// judge says what is wrong with an answer: who may not is told so in a sentence, and
// who shows nothing that is known is asked who it is.
func (a access) judge(who string, as asker, status int, text string) error {
	refusal := http.StatusForbidden
	if as.tls.GetClientCertificate == nil && !slices.Contains([]string{yara, vera, olga, gus, rosa, ada}, who) {
		refusal = http.StatusUnauthorized
	}
	switch {
	case noConnection(who):
		if status != 0 {
			return fmt.Errorf("%s by %s: the connection must be refused, got %d %s", a.request, who, status, text)
		}
	case slices.Contains(a.allowed, who):
		if status != a.status {
			return fmt.Errorf("%s by %s must be %d, got %d %s", a.request, who, a.status, status, text)
		}
	case status != refusal:
		return fmt.Errorf("%s by %s must be %d, got %d %s", a.request, who, refusal, status, text)
	default:
		var f struct{ Code, Message string }
		if err := json.Unmarshal([]byte(text), &f); err != nil || f.Code == "" || len(f.Message) < 10 {
			return fmt.Errorf("%s must be refused with a code and a sentence, got %s", a.request, text)
		}
	}
	return nil
}
