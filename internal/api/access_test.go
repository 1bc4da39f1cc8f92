package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"understudy"
	"understudy/internal/identity"
)

// The identities that every route is tried with. lobby is vera's camera, yard is not.
const (
	nobody       = "nobody"
	garbage      = "a token that nobody gave out"
	mediaToken   = "a media token, which is for media ports"
	vera         = "a viewer of lobby"
	veraCookie   = "the same, by cookie"
	olga         = "an operator of lobby"
	gus          = "by a role of the site's own, may play and tell of doors, which lobby is in"
	carl         = "by a role of the site's own, configures lobby"
	conny        = "by the same, configures the whole site"
	ada          = "an administrator"
	rec1         = "recording server rec-1"
	rec2         = "recording server rec-2"
	fo1          = "failover server fo-1"
	channelOne   = "channel ch-1"
	otherInstall = "rec-1 of another installation"
)

var everyone = []string{nobody, garbage, mediaToken, vera, veraCookie, olga, gus, carl, conny, ada, rec1, rec2, fo1, channelOne, otherInstall}

var (
	people  = []string{vera, veraCookie, olga, gus, carl, conny, ada}
	members = []string{rec1, rec2, fo1, channelOne}
	known   = slices.Concat(people, members)
)

// rule says who may use a route; all others get 401 or 403.
type rule struct {
	path    string // where the pattern has parts to fill in
	body    string
	allowed []string
}

// rules has a row for each pattern of the router. A new route needs one.
var rules = map[string]rule{
	"GET /api/v1/health":                              {allowed: everyone},
	"GET /api/v1/ready":                               {allowed: everyone},
	"GET /api/v1/ca.pem":                              {allowed: everyone},
	"GET /openapi.json":                               {allowed: everyone},
	"GET /docs":                                       {allowed: everyone},
	"GET /docs/":                                      {allowed: everyone},
	"GET /files.json":                                 {allowed: everyone},
	"/":                                               {path: "GET /", allowed: everyone},
	"POST /api/v1/sign-in":                            {body: `{"name":"ada","password":"` + string(password) + `"}`, allowed: everyone},
	"POST /api/v1/sign-in/ticket":                     {body: `{}`}, // with a Kerberos ticket: test/directory
	"GET /api/v1/sign-in":                             {allowed: everyone},
	"GET /api/v1/sign-in/openid":                      {allowed: everyone}, // with an identity provider: test/directory
	"GET /api/v1/sign-in/openid/back":                 {allowed: everyone},
	"POST /api/v1/setup":                              {body: `{"code":"x","name":"bad name!","password":"` + string(password) + `"}`, allowed: everyone},
	"POST /api/v1/join":                               {body: `{"secret":"x","request":"no request"}`, allowed: everyone},
	"/api/v1/":                                        {path: "GET /api/v1/no-such", allowed: known},
	"GET /api/v1/me":                                  {allowed: known},
	"GET /api/v1/trust":                               {allowed: known},
	"GET /api/v1/site":                                {allowed: known},
	"GET /api/v1/cameras":                             {allowed: known},
	"GET /api/v1/cameras/{id}":                        {path: "GET /api/v1/cameras/lobby", allowed: known},
	"GET /api/v1/cameras/{id}/timeline":               {path: "GET /api/v1/cameras/lobby/timeline?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z", allowed: []string{olga, gus, ada, rec1, rec2, fo1}},
	"GET /api/v1/status":                              {allowed: known},
	"GET /api/v1/events":                              {allowed: known},
	"GET /api/v1/channel":                             {allowed: known},
	"GET /relay/{server}/{path...}":                   {path: "GET /relay/none-such/v1/x", allowed: known},
	"POST /api/v1/media-tokens":                       {allowed: people},
	"POST /api/v1/sign-out":                           {allowed: people},
	"GET /api/v1/sessions":                            {allowed: people},
	"POST /api/v1/second-factor":                      {body: `{"password":"` + string(password) + `"}`, allowed: people},
	"POST /api/v1/second-factor/confirm":              {body: `{"code":"12345"}`, allowed: people},
	"POST /api/v1/second-factor/remove":               {body: `{"password":"` + string(password) + `"}`, allowed: people},
	"DELETE /api/v1/users/{name}/second-factor":       {path: "DELETE /api/v1/users/none-such/second-factor", allowed: []string{ada}},
	"DELETE /api/v1/sessions/{name}":                  {path: "DELETE /api/v1/sessions/none-such", allowed: people},
	"GET /api/v1/users":                               {allowed: []string{ada}},
	"PUT /api/v1/users/{name}":                        {path: "PUT /api/v1/users/bob", body: `{}`, allowed: []string{ada}},
	"DELETE /api/v1/users/{name}":                     {path: "DELETE /api/v1/users/none-such", allowed: []string{ada}},
	"GET /api/v1/roles":                               {allowed: []string{ada}},
	"PUT /api/v1/roles/{name}":                        {path: "PUT /api/v1/roles/porter", body: `{"actions":[]}`, allowed: []string{ada}},
	"DELETE /api/v1/roles/{name}":                     {path: "DELETE /api/v1/roles/none-such", allowed: []string{ada}},
	"GET /api/v1/camera-groups":                       {allowed: []string{ada}},
	"PUT /api/v1/camera-groups/{id}":                  {path: "PUT /api/v1/camera-groups/gates", body: `{"cameras":["none-such"]}`, allowed: []string{ada}},
	"DELETE /api/v1/camera-groups/{id}":               {path: "DELETE /api/v1/camera-groups/none-such", allowed: []string{ada}},
	"POST /api/v1/join-tokens":                        {body: `{"role":"recording","server":"rec-9"}`, allowed: []string{ada}},
	"PUT /api/v1/cameras/{id}":                        {path: "PUT /api/v1/cameras/lobby", body: `{}`, allowed: []string{carl, conny, ada}},
	"PUT /api/v1/cameras":                             {body: `{"cameras":[]}`, allowed: []string{carl, conny, ada}},
	"DELETE /api/v1/cameras/{id}":                     {path: "DELETE /api/v1/cameras/none-such", allowed: []string{conny, ada}},
	"PUT /api/v1/recording-servers/{id}":              {path: "PUT /api/v1/recording-servers/none-such", body: `{}`, allowed: []string{conny, ada}},
	"PUT /api/v1/failover-servers/{id}":               {path: "PUT /api/v1/failover-servers/none-such", body: `{}`, allowed: []string{conny, ada}},
	"DELETE /api/v1/servers/{id}":                     {path: "DELETE /api/v1/servers/none-such", allowed: []string{ada}},
	"PUT /api/v1/groups/{id}":                         {path: "PUT /api/v1/groups/none-such", body: `{"members":["none-such"]}`, allowed: []string{conny, ada}},
	"DELETE /api/v1/groups/{id}":                      {path: "DELETE /api/v1/groups/none-such", allowed: []string{conny, ada}},
	"/api/v1/demo/":                                   {path: "POST /api/v1/demo/kill", allowed: []string{ada}},
	"POST /api/v1/secrets/rotate":                     {path: "POST /api/v1/secrets/rotate", allowed: []string{ada}},
	"GET /api/v1/ca/exchange":                         {path: "GET /api/v1/ca/exchange", allowed: []string{ada}},
	"POST /api/v1/ca/exchange":                        {path: "POST /api/v1/ca/exchange", allowed: []string{ada}},
	"GET /api/v1/audit":                               {path: "GET /api/v1/audit", allowed: []string{ada}},
	"POST /api/v1/servers/{id}/revoke":                {path: "POST /api/v1/servers/none-such/revoke", body: `{"reason":"a test"}`, allowed: []string{ada}},
	"GET /api/v1/servers/{id}/assignment":             {path: "GET /api/v1/servers/rec-1/assignment", allowed: []string{rec1}},
	"GET /api/v1/servers/{id}/duties":                 {path: "GET /api/v1/servers/fo-1/duties", allowed: []string{fo1}},
	"PUT /api/v1/recording-servers/{id}/hand-over":    {path: "PUT /api/v1/recording-servers/none-such/hand-over", body: `{"to":""}`, allowed: []string{conny, ada}},
	"DELETE /api/v1/recording-servers/{id}/hand-over": {path: "DELETE /api/v1/recording-servers/none-such/hand-over", allowed: []string{conny, ada}},
	"PUT /api/v1/recording-servers/{id}/maintenance":  {path: "PUT /api/v1/recording-servers/none-such/maintenance", body: `{}`, allowed: []string{conny, ada}},
	"GET /api/v1/preflights":                          {allowed: known},
	"PUT /api/v1/servers/{id}/preflight":              {path: "PUT /api/v1/servers/fo-1/preflight", body: `{"server":"fo-1","at":"2026-01-01T00:00:00Z","took":1,"homes":[],"cameras":0,"reached":0,"findings":[]}`, allowed: []string{fo1}},
	"POST /api/v1/servers/{id}/bundles":               {path: "POST /api/v1/servers/fo-1/bundles", body: `{"key":"eA=="}`, allowed: []string{fo1}},
	"POST /api/v1/servers/{id}/events":                {path: "POST /api/v1/servers/rec-1/events", body: `{"kind":"camera","sentence":"lobby is lost."}`, allowed: []string{rec1}},
	"POST /api/v1/servers/{id}/certificate":           {path: "POST /api/v1/servers/rec-1/certificate", body: `{"request":"no request"}`, allowed: []string{rec1}},
	"POST /api/v1/events":                             {body: `{"camera":"lobby","name":"door forced"}`, allowed: []string{olga, gus, ada, rec1, rec2, fo1}},
	"GET /api/v1/locks":                               {allowed: known},
	"POST /api/v1/locks":                              {body: `{"camera":"lobby","from":"2026-01-01T00:00:00Z","to":"2026-01-01T01:00:00Z","reason":"case"}`, allowed: []string{olga, ada}},
	"DELETE /api/v1/locks/{name}":                     {path: "DELETE /api/v1/locks/none-such", allowed: []string{olga, ada}},
	"GET /api/v1/incidents":                           {allowed: known},
	"GET /api/v1/incidents/{name}":                    {path: "GET /api/v1/incidents/rec-1-1", allowed: known},
	"GET /api/v1/incidents/{name}/report":             {path: "GET /api/v1/incidents/rec-1-1/report", allowed: known},
	"POST /api/v1/leases/claim":                       {body: `{"id":"12345678","claimant":"fo-1","home":"none-such","kind":"takeover","cameras":[],"sentence":"x"}`, allowed: []string{fo1}},
}

// asker sends requests as one identity.
type asker struct {
	http   *http.Client
	header http.Header
}

func (s *site) askers() map[string]asker {
	t, ctx := s.t, s.t.Context()
	admin := s.administrator()
	node1, c1 := s.join(admin, understudy.RoleRecording, "rec-1", "127.0.0.1:7563")
	_, c2 := s.join(admin, understudy.RoleRecording, "rec-2", "127.0.0.1:7565")
	_, c3 := s.join(admin, understudy.RoleFailover, "fo-1", "127.0.0.1:7564")
	_, c4 := s.join(admin, understudy.RoleChannel, "ch-1", "")
	for _, camera := range []understudy.CameraID{"lobby", "yard"} {
		_, err := admin.PutCamera(ctx, understudy.Camera{ID: camera, Home: "rec-1", URL: "rtsp://10.0.0.8/1"}, nil)
		check(t, err)
	}
	viewer := s.user(admin, "vera", understudy.RoleViewer, "lobby")
	operator := s.user(admin, "olga", understudy.RoleOperator, "lobby")
	media, err := operator.MediaToken(ctx)
	check(t, err)
	_, err = admin.PutRole(ctx, understudy.SiteRole{Name: "guard", Actions: []understudy.Action{understudy.ActionPlayback, understudy.ActionEvents}})
	check(t, err)
	_, err = admin.PutRole(ctx, understudy.SiteRole{Name: "installer", Actions: []understudy.Action{understudy.ActionConfigure}})
	check(t, err)
	_, err = admin.PutCameraGroup(ctx, understudy.CameraGroup{ID: "doors", Cameras: []understudy.CameraID{"lobby"}})
	check(t, err)
	guard := s.user(admin, "gus", "guard")
	_, err = admin.PutUser(ctx, understudy.User{Name: "gus", Role: "guard", CameraGroups: []understudy.CameraGroupID{"doors"}}, nil)
	check(t, err)
	installer, chief := s.user(admin, "carl", "installer", "lobby"), s.user(admin, "conny", "installer", understudy.AllCameras)
	if _, err := node1.VerifyToken(string(media), nil); err != nil {
		t.Fatalf("the media token must be one: %v", err)
	}
	stranger, err := identity.OpenAuthority(t.TempDir())
	check(t, err)
	other, err := stranger.Node("rec-1", understudy.RoleRecording, []string{"127.0.0.1"})
	check(t, err)
	otherTLS := c1.TLSFor("").Clone() // trusts this site, and shows what that does not know
	otherTLS.GetClientCertificate = other.ClientTLS("").GetClientCertificate
	otherTLS.Certificates = other.ClientTLS("").Certificates

	bearer := func(token understudy.Secret) http.Header {
		return http.Header{"Authorization": {"Bearer " + string(token)}}
	}
	plain, process := admin.HTTP(""), http.Header{understudy.BootHeader: {"one"}}
	return map[string]asker{
		nobody: {plain, nil}, garbage: {plain, bearer("garbage")}, mediaToken: {plain, bearer(media)},
		vera:       {plain, bearer(viewer.Token())},
		veraCookie: {plain, http.Header{"Cookie": {sessionCookie + "=" + string(viewer.Token())}}},
		gus:        {plain, bearer(guard.Token())}, carl: {plain, bearer(installer.Token())}, conny: {plain, bearer(chief.Token())},
		olga: {plain, bearer(operator.Token())}, ada: {plain, bearer(admin.Token())},
		rec1: {c1.HTTP(""), process}, rec2: {c2.HTTP(""), process}, fo1: {c3.HTTP(""), process}, channelOne: {c4.HTTP(""), process},
		otherInstall: {s.client(func(understudy.ServerID) *tls.Config { return otherTLS }).HTTP(""), nil},
	}
}

// ask returns the status and the start of the answer; 0 when the connection was refused.
func (a asker) ask(t *testing.T, method, url, body string) (status int, text string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	check(t, err)
	request.Header = a.header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.http.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return response.StatusCode, "" // never ends
	}
	all, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	check(t, err)
	return response.StatusCode, string(all)
}

// TestAccess tries every route of the router with every identity.
func TestAccess(t *testing.T) {
	s := newSite(t)
	askers := s.askers()
	patterns := slices.Clone(s.server.gate.patterns)
	slices.SortStableFunc(patterns, func(a, b string) int { // signing out ends what the others need
		return strings.Compare(strings.Repeat("~", strings.Count(a, "sign-out")), strings.Repeat("~", strings.Count(b, "sign-out")))
	})
	for _, pattern := range patterns {
		rule, ok := rules[pattern]
		if !ok {
			t.Errorf("nobody says in the table who may use %s", pattern)
			continue
		}
		if rule.path == "" {
			rule.path = pattern
		}
		method, path, _ := strings.Cut(rule.path, " ")
		for _, who := range everyone {
			if strings.Contains(pattern, "sign-out") && who == veraCookie {
				continue // her session has ended by then
			}
			status, text := askers[who].ask(t, method, "https://"+s.address+path, rule.body)
			denied := status == 0 || status == http.StatusUnauthorized || status == http.StatusForbidden
			switch allowed := slices.Contains(rule.allowed, who) && who != otherInstall; {
			case who == otherInstall && status != 0:
				t.Errorf("%s by %s: the connection must be refused, got %d %.200s", rule.path, who, status, text)
			case allowed && (denied || status >= 500):
				t.Errorf("%s by %s must be allowed, got %d %.200s", rule.path, who, status, text)
			case !allowed && !denied:
				t.Errorf("%s by %s must be refused, got %d %.200s", rule.path, who, status, text)
			case denied && status != 0:
				requireFailure(t, rule.path, text)
			}
		}
	}
	for pattern := range rules {
		if !slices.Contains(patterns, pattern) {
			t.Errorf("the table has %s, which is no route", pattern)
		}
	}
}

// requireFailure: every refusal has a code and a sentence.
func requireFailure(t *testing.T, what, text string) {
	t.Helper()
	var f failure
	if err := json.Unmarshal([]byte(text), &f); err != nil || f.Code == "" || len(f.Message) < 10 {
		t.Errorf("%s must be refused with a code and a sentence, got %s", what, text)
	}
}

// TestObjects: the camera's own right counts, in every list and on every object.
func TestObjects(t *testing.T) {
	s := newSite(t)
	askers := s.askers()
	for _, path := range []string{"/cameras/yard", "/cameras/yard/timeline?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z"} {
		for _, who := range []string{vera, olga, gus, carl} {
			if status, text := askers[who].ask(t, "GET", "https://"+s.address+base+path, ""); status != http.StatusForbidden {
				t.Errorf("%s by %s must be 403, got %d %s", path, who, status, text)
			}
		}
	}
	for request, body := range map[string]string{"PUT /cameras/yard": `{"home":"rec-1","url":"rtsp://10.0.0.9/1"}`, "DELETE /cameras/yard": "",
		"PUT /cameras/new": `{"home":"rec-1","url":"rtsp://10.0.0.9/1"}`, "PUT /cameras": `{"cameras":[{"id":"yard","home":"rec-1","url":"rtsp://10.0.0.9/1"}]}`} {
		method, path, _ := strings.Cut(request, " ")
		if status, text := askers[carl].ask(t, method, "https://"+s.address+base+path, body); status != http.StatusForbidden {
			t.Errorf("%s by %s must be 403, got %d %s", request, carl, status, text)
		}
	}
	s.claim("claim-0001", understudy.ClaimTakeover, "fo-1", 1, "lobby", "yard")
	s.claim("claim-0002", understudy.ClaimFailback, "rec-1", 2, "yard", "lobby")
	told := s.incidents()
	if len(told) != 1 || len(told[0].Cameras) != 2 {
		t.Fatalf("a takeover of two cameras is one incident of two cameras, found %+v", told)
	}
	incident := "/incidents/" + told[0].ID
	for _, who := range []string{vera, olga, ada} {
		status, text := askers[who].ask(t, "GET", "https://"+s.address+base+incident, "")
		if status != http.StatusOK || !strings.Contains(text, "lobby") || strings.Contains(text, `"account"`) != (who != vera) {
			t.Errorf("%s by %s must tell of lobby, and what it cost to those who may play it, got %d %s", incident, who, status, text)
		}
	}
	if _, text := askers[vera].ask(t, "GET", "https://"+s.address+base+"/sessions", ""); !strings.Contains(text, `"vera"`) || strings.Contains(text, `"olga"`) {
		t.Errorf("vera sees her own sessions, saw %s", text)
	}
	_, all := askers[ada].ask(t, "GET", "https://"+s.address+base+"/sessions", "")
	var sessions []understudy.Session
	check(t, json.Unmarshal([]byte(all), &sessions))
	for _, session := range sessions {
		if path := "/sessions/" + session.ID; session.User.Name == "olga" {
			if status, text := askers[vera].ask(t, "DELETE", "https://"+s.address+base+path, ""); status != http.StatusNotFound {
				t.Errorf("vera ends olga's session: %d %s", status, text)
			}
			if status, text := askers[ada].ask(t, "DELETE", "https://"+s.address+base+path, ""); status != http.StatusNoContent {
				t.Errorf("an administrator ends olga's session: %d %s", status, text)
			}
		}
	}
	if status, text := askers[olga].ask(t, "GET", "https://"+s.address+base+"/me", ""); status != http.StatusUnauthorized {
		t.Errorf("olga's session was ended, but she is answered %d %s", status, text)
	}
	for _, path := range []string{"/site", "/cameras", "/events", "/status", "/incidents", incident, incident + "/report"} {
		_, text := askers[vera].ask(t, "GET", "https://"+s.address+base+path, "")
		if strings.Contains(text, "yard") {
			t.Errorf("%s shows vera a camera that is not hers: %s", path, text)
		}
		if strings.Contains(text, "doors") || strings.Contains(text, "guard") {
			t.Errorf("%s shows vera who may do what: %s", path, text)
		}
		if path == "/events" && strings.Contains(text, "signed in") {
			t.Errorf("the log shows vera who signed in: %s", text)
		}
	}
}
