package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"understudy"
)

// segment makes one part of a path of an id, which must be one: an empty or
// strange id would name another route.
func segment[T ~string](noun string, id T) (string, error) {
	if err := understudy.ValidateID(noun, id); err != nil {
		return "", err
	}
	return string(id), nil
}

// Cameras implements understudy.CameraService.
func (c *Client) Cameras(ctx context.Context) ([]understudy.Camera, error) {
	return ask[[]understudy.Camera](ctx, c, call{method: http.MethodGet, path: "/cameras"})
}

// Camera implements understudy.CameraService.
func (c *Client) Camera(ctx context.Context, id understudy.CameraID) (understudy.Camera, error) {
	name, err := segment("camera", id)
	if err != nil {
		var none understudy.Camera
		return none, err
	}
	return ask[understudy.Camera](ctx, c, call{method: http.MethodGet, path: "/cameras/" + name})
}

// PutCamera implements understudy.CameraService.
func (c *Client) PutCamera(ctx context.Context, camera understudy.Camera, password *understudy.Secret) (understudy.Camera, error) {
	body := struct {
		understudy.Camera
		Password *understudy.Secret `json:"password,omitempty"`
	}{camera, password}
	return put[understudy.Camera](ctx, c, "/cameras/", "camera", camera.ID, body)
}

// PutCameras implements understudy.CameraService.
func (c *Client) PutCameras(ctx context.Context, cameras []understudy.Camera, passwords map[understudy.CameraID]understudy.Secret) error {
	body := struct {
		Cameras   []understudy.Camera                       `json:"cameras"`
		Passwords map[understudy.CameraID]understudy.Secret `json:"passwords,omitempty"`
	}{cameras, passwords}
	return c.do(ctx, http.MethodPut, "/cameras", body, nil)
}

// DeleteCamera implements understudy.CameraService.
func (c *Client) DeleteCamera(ctx context.Context, id understudy.CameraID) error {
	return remove(ctx, c, "/cameras/", "camera", id)
}

func ask[T any](ctx context.Context, c *Client, q call) (T, error) {
	var answer T
	q.out = &answer
	err := c.send(ctx, q)
	return answer, err
}

func put[T any, K ~string](ctx context.Context, c *Client, path, noun string, id K, body any) (T, error) {
	name, err := segment(noun, id)
	if err != nil {
		var none T
		return none, err
	}
	return ask[T](ctx, c, call{method: http.MethodPut, path: path + name, in: body})
}

func remove[K ~string](ctx context.Context, c *Client, path, noun string, id K) error {
	name, err := segment(noun, id)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodDelete, path+name, nil, nil)
}

// Site implements understudy.ServerService: it asks. Current is what Run knows.
func (c *Client) Site(ctx context.Context) (understudy.Site, error) {
	return ask[understudy.Site](ctx, c, call{method: http.MethodGet, path: "/site"})
}

// PutRecordingServer implements understudy.ServerService.
func (c *Client) PutRecordingServer(ctx context.Context, s understudy.RecordingServer) (understudy.RecordingServer, error) {
	return put[understudy.RecordingServer](ctx, c, "/recording-servers/", "server", s.ID, s)
}

// PutFailoverServer implements understudy.ServerService.
func (c *Client) PutFailoverServer(ctx context.Context, s understudy.FailoverServer) (understudy.FailoverServer, error) {
	return put[understudy.FailoverServer](ctx, c, "/failover-servers/", "server", s.ID, s)
}

// PutGroup implements understudy.ServerService.
func (c *Client) PutGroup(ctx context.Context, g understudy.FailoverGroup) (understudy.FailoverGroup, error) {
	return put[understudy.FailoverGroup](ctx, c, "/groups/", "group", g.ID, g)
}

// DeleteServer implements understudy.ServerService.
func (c *Client) DeleteServer(ctx context.Context, id understudy.ServerID) error {
	return remove(ctx, c, "/servers/", "server", id)
}

// RevokeServer implements understudy.ServerService.
func (c *Client) RevokeServer(ctx context.Context, id understudy.ServerID, reason string) (understudy.Revocation, error) {
	name, err := segment("server", id)
	if err != nil {
		return understudy.Revocation{}, err
	}
	return ask[understudy.Revocation](ctx, c, call{method: http.MethodPost, path: "/servers/" + name + "/revoke", in: map[string]string{"reason": reason}})
}

// DeleteGroup implements understudy.ServerService.
func (c *Client) DeleteGroup(ctx context.Context, id understudy.GroupID) error {
	return remove(ctx, c, "/groups/", "group", id)
}

// Claim implements understudy.LeaseService.
func (c *Client) Claim(ctx context.Context, claim understudy.Claim) (understudy.ClaimAnswer, error) {
	return ask[understudy.ClaimAnswer](ctx, c, call{method: http.MethodPost, path: "/leases/claim", in: claim, again: true})
}

// Assignment implements understudy.AssignmentService.
func (c *Client) Assignment(ctx context.Context, server understudy.ServerID) (understudy.Assignment, error) {
	name, err := segment("server", server)
	if err != nil {
		var none understudy.Assignment
		return none, err
	}
	return ask[understudy.Assignment](ctx, c, call{method: http.MethodGet, path: "/servers/" + name + "/assignment"})
}

// PutPreflight implements understudy.PreflightService.
func (c *Client) PutPreflight(ctx context.Context, p understudy.Preflight) error {
	name, err := segment("server", p.Server)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPut, "/servers/"+name+"/preflight", p, nil)
}

// Preflights implements understudy.PreflightService.
func (c *Client) Preflights(ctx context.Context) ([]understudy.Preflight, error) {
	return ask[[]understudy.Preflight](ctx, c, call{method: http.MethodGet, path: "/preflights"})
}

// Bundles implements understudy.BundleService.
func (c *Client) Bundles(ctx context.Context, server understudy.ServerID, key []byte) ([]understudy.Bundle, error) {
	name, err := segment("server", server)
	if err != nil {
		return nil, err
	}
	body := struct {
		Key []byte `json:"key"`
	}{key}
	return ask[[]understudy.Bundle](ctx, c, call{method: http.MethodPost, path: "/servers/" + name + "/bundles", in: body})
}

// Duties implements understudy.AssignmentService.
func (c *Client) Duties(ctx context.Context, server understudy.ServerID) ([]understudy.Duty, error) {
	name, err := segment("server", server)
	if err != nil {
		var none []understudy.Duty
		return none, err
	}
	return ask[[]understudy.Duty](ctx, c, call{method: http.MethodGet, path: "/servers/" + name + "/duties"})
}

// Events implements understudy.EventService.
func (c *Client) Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" && value != "0" {
			values.Set(name, value)
		}
	}
	set("after", strconv.FormatUint(q.After, 10))
	set("before", strconv.FormatUint(q.Before, 10))
	set("limit", strconv.Itoa(q.Limit))
	set("kind", string(q.Kind))
	set("camera", string(q.Camera))
	set("server", string(q.Server))
	set("actor", q.Actor)
	set("text", q.Text)
	for name, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			set(name, at.Format(time.RFC3339Nano))
		}
	}
	return ask[[]understudy.Event](ctx, c, call{method: http.MethodGet, path: "/events?" + values.Encode()})
}

// CA implements understudy.CAService.
func (c *Client) CA(ctx context.Context) (understudy.CA, error) {
	return ask[understudy.CA](ctx, c, call{method: http.MethodGet, path: "/ca/exchange"})
}

// ChangeCA implements understudy.CAService.
func (c *Client) ChangeCA(ctx context.Context, step understudy.CAStep, force bool) (understudy.CA, error) {
	in := struct {
		Step  understudy.CAStep `json:"step"`
		Force bool              `json:"force,omitempty"`
	}{step, force}
	return ask[understudy.CA](ctx, c, call{method: http.MethodPost, path: "/ca/exchange", in: in})
}

// CACertificate returns the CA certificates of the installation (PEM): one, and two while it is exchanged.
func (c *Client) CACertificate(ctx context.Context) ([]byte, error) {
	return ask[[]byte](ctx, c, call{method: http.MethodGet, path: "/ca.pem"})
}

// RotateSecrets implements understudy.CameraService.
func (c *Client) RotateSecrets(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/secrets/rotate", nil, nil)
}

// VerifyAudit implements understudy.AuditService.
func (c *Client) VerifyAudit(ctx context.Context) (understudy.Audit, error) {
	return ask[understudy.Audit](ctx, c, call{method: http.MethodGet, path: "/audit"})
}

// Report implements understudy.EventService.
func (c *Client) Report(ctx context.Context, server understudy.ServerID, r understudy.Report) error {
	name, err := segment("server", server)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, "/servers/"+name+"/events", r, nil)
}

// Incidents implements understudy.IncidentService.
func (c *Client) Incidents(ctx context.Context, limit int) ([]understudy.Incident, error) {
	return ask[[]understudy.Incident](ctx, c, call{method: http.MethodGet, path: "/incidents?limit=" + strconv.Itoa(limit)})
}

// Incident implements understudy.IncidentService.
func (c *Client) Incident(ctx context.Context, id string) (understudy.Incident, error) {
	return ask[understudy.Incident](ctx, c, call{method: http.MethodGet, path: "/incidents/" + url.PathEscape(id)})
}

// IncidentReport returns an incident as one HTML page that needs nothing else.
func (c *Client) IncidentReport(ctx context.Context, id string) ([]byte, error) {
	var page []byte
	err := c.send(ctx, call{method: http.MethodGet, path: "/incidents/" + url.PathEscape(id) + "/report", out: &page})
	return page, err
}

// Status returns what the management server last saw of each server.
func (c *Client) Status(ctx context.Context) ([]understudy.ServerStatus, error) {
	return ask[[]understudy.ServerStatus](ctx, c, call{method: http.MethodGet, path: "/status"})
}

// Users implements understudy.UserService.
func (c *Client) Users(ctx context.Context) ([]understudy.User, error) {
	return ask[[]understudy.User](ctx, c, call{method: http.MethodGet, path: "/users"})
}

// PutUser implements understudy.UserService.
func (c *Client) PutUser(ctx context.Context, u understudy.User, password *understudy.Secret) (understudy.User, error) {
	body := struct {
		understudy.User
		Password *understudy.Secret `json:"password,omitempty"`
	}{u, password}
	return ask[understudy.User](ctx, c, call{method: http.MethodPut, path: "/users/" + url.PathEscape(u.Name), in: body})
}

// DeleteUser implements understudy.UserService.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/users/"+url.PathEscape(name), nil, nil)
}

// Sessions returns the user's sessions that go on, and an administrator's client everyone's.
func (c *Client) Sessions(ctx context.Context) ([]understudy.Session, error) {
	return ask[[]understudy.Session](ctx, c, call{path: "/sessions"})
}

// EndSession ends the session of that id.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/sessions/"+url.PathEscape(id), nil, nil)
}

// SignIn implements understudy.UserService; the client uses the session from then on.
func (c *Client) SignIn(ctx context.Context, name string, password understudy.Secret) (understudy.Session, error) {
	return c.SignInWithCode(ctx, name, password, "")
}

// SignInWithCode is SignIn with a code of the second factor, for who has one.
func (c *Client) SignInWithCode(ctx context.Context, name string, password, code understudy.Secret) (understudy.Session, error) {
	body := struct {
		Name     string            `json:"name"`
		Password understudy.Secret `json:"password"`
		Code     understudy.Secret `json:"code,omitempty"`
	}{name, password, code}
	return c.begin(ctx, call{method: http.MethodPost, path: "/sign-in", in: body, token: new(understudy.Secret)})
}

// SignInWithTicket is SignIn for a user of a Kerberos realm, by a Negotiate token for
// the host that the client asks. The session ends with the ticket.
func (c *Client) SignInWithTicket(ctx context.Context, negotiate []byte) (understudy.Session, error) {
	return c.begin(ctx, call{method: http.MethodPost, path: "/sign-in/ticket", in: struct{}{}, ticket: negotiate})
}

// begin signs in, and uses the session from then on.
func (c *Client) begin(ctx context.Context, q call) (understudy.Session, error) {
	session, err := ask[understudy.Session](ctx, c, q)
	if err != nil {
		return understudy.Session{}, err
	}
	c.mu.Lock()
	c.token, c.shown, c.shownFresh, c.known = session.Token, understudy.MediaToken{}, time.Time{}, Known{}
	c.mu.Unlock()
	return session, nil
}

// Identify implements understudy.UserService.
func (c *Client) Identify(ctx context.Context, token understudy.Secret) (understudy.Identity, error) {
	return ask[understudy.Identity](ctx, c, call{method: http.MethodGet, path: "/me", token: &token})
}

// SignOut implements understudy.UserService.
func (c *Client) SignOut(ctx context.Context, token understudy.Secret) error {
	return c.send(ctx, call{method: http.MethodPost, path: "/sign-out", in: struct{}{}, token: &token})
}

// Setup makes the first administrator, with the code that the management server
// printed when it started first.
func (c *Client) Setup(ctx context.Context, code understudy.Secret, name string, password understudy.Secret) error {
	body := struct {
		Code     understudy.Secret `json:"code"`
		Name     string            `json:"name"`
		Password understudy.Secret `json:"password"`
	}{code, name, password}
	return c.do(ctx, http.MethodPost, "/setup", body, nil)
}

// CreateJoinToken returns the one line that lets a server join, once, within ttl.
func (c *Client) CreateJoinToken(ctx context.Context, role understudy.Role, id understudy.ServerID, ttl time.Duration) (understudy.Secret, error) {
	body := struct {
		Role   understudy.Role     `json:"role"`
		Server understudy.ServerID `json:"server"`
		TTL    float64             `json:"ttl_seconds"`
	}{role, id, ttl.Seconds()}
	var answer struct {
		Token understudy.Secret `json:"token"`
	}
	err := c.do(ctx, http.MethodPost, "/join-tokens", body, &answer)
	return answer.Token, err
}

// Join asks for the first certificate of a server.
func (c *Client) Join(ctx context.Context, r understudy.JoinRequest) (understudy.JoinAnswer, error) {
	return ask[understudy.JoinAnswer](ctx, c, call{method: http.MethodPost, path: "/join", in: r})
}

// Renew asks for the next certificate of a server that shows its present one.
func (c *Client) Renew(ctx context.Context, server understudy.ServerID, r understudy.JoinRequest) (understudy.JoinAnswer, error) {
	name, err := segment("server", server)
	if err != nil {
		var none understudy.JoinAnswer
		return none, err
	}
	return ask[understudy.JoinAnswer](ctx, c, call{method: http.MethodPost, path: "/servers/" + name + "/certificate", in: r})
}

// Trust returns whom members of the installation trust, as the identity package writes it.
func (c *Client) Trust(ctx context.Context) (json.RawMessage, error) {
	return ask[json.RawMessage](ctx, c, call{method: http.MethodGet, path: "/trust"})
}
