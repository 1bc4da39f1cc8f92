package api

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/client"
)

// remote is the services over HTTP, each as one who may use it.
type remote struct {
	*client.Client // an administrator's
	rec, fo        *client.Client
}

func (r remote) Claim(ctx context.Context, c understudy.Claim) (understudy.ClaimAnswer, error) {
	return r.fo.Claim(ctx, c)
}
func (r remote) Assignment(ctx context.Context, id understudy.ServerID) (understudy.Assignment, error) {
	return r.rec.Assignment(ctx, id)
}
func (r remote) Duties(ctx context.Context, id understudy.ServerID) ([]understudy.Duty, error) {
	return r.fo.Duties(ctx, id)
}
func (r remote) PutPreflight(ctx context.Context, p understudy.Preflight) error {
	return r.fo.PutPreflight(ctx, p)
}
func (r remote) Bundles(ctx context.Context, id understudy.ServerID, key []byte) ([]understudy.Bundle, error) {
	return r.fo.Bundles(ctx, id, key)
}
func (r remote) Report(ctx context.Context, id understudy.ServerID, report understudy.Report) error {
	return r.rec.Report(ctx, id, report)
}

// varying is what two runs cannot have in common.
var varying = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|"token":"[^"]*"|,"hash":"[0-9a-f]*"|,"from":"127\.0\.0\.1"`)

// tell writes what came of a call: the value, or the code and sentence.
func tell(value any, err error) string {
	if err != nil {
		return fmt.Sprintf("%s: %s", understudy.CodeOf(err), err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	told := varying.ReplaceAllStringFunc(string(text), func(found string) string {
		if strings.HasPrefix(found, `,"`) { // who asked from nowhere has no address, and the hash is of it as well
			return ""
		}
		return "…"
	})
	return strings.ReplaceAll(told, "null", "[]")
}

func tellError(err error) string { return tell("done", err) }

// script uses every service, rightly and wrongly.
func script(ctx context.Context, s understudy.ManagementService) []string {
	secret := new(understudy.Secret("camera password"))
	addresses := understudy.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}
	camera := understudy.Camera{ID: "lobby", Home: "rec-1", URL: "rtsp://10.0.0.8/1", Username: "root"}
	bad := camera
	bad.URL = "http://10.0.0.8"
	claim := understudy.Claim{ID: "claim-0001", Claimant: "fo-1", Home: "rec-1", Kind: understudy.ClaimTakeover,
		Cameras: []understudy.CameraEpoch{{Camera: "lobby", Epoch: 1}}, Sentence: "It is gone."}
	from := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	lock := understudy.Lock{ID: "case-7", Camera: "lobby", From: from, To: from.Add(time.Hour), Reason: "case 7"}
	preflight := understudy.Preflight{Server: "fo-1", At: from, Homes: []understudy.ServerID{"rec-1"}, Findings: []understudy.Finding{{
		Home: "rec-1", Camera: "lobby", About: understudy.AboutCamera, Red: true, Sentence: "It does not answer."}}}
	stale, changed := claim, claim
	stale.ID = "claim-0002"
	changed.Sentence = "It is still gone."
	user := understudy.User{Name: "vera", Role: understudy.RoleViewer, Cameras: []understudy.CameraID{"lobby"}}
	granted := user
	granted.CameraGroups, granted.Also = []understudy.CameraGroupID{"doors"}, []understudy.Grant{{Role: "guard", CameraGroups: []understudy.CameraGroupID{"doors"}}}
	strange := user
	strange.Name = "a/b?c"
	return []string{
		tell(s.PutGroup(ctx, understudy.FailoverGroup{ID: "spare", Name: "Spare", Members: []understudy.ServerID{"fo-1"}})),
		tell(s.PutGroup(ctx, understudy.FailoverGroup{ID: "none", Members: []understudy.ServerID{"nobody"}})),
		tell(s.PutRecordingServer(ctx, understudy.RecordingServer{ID: "rec-1", Addresses: addresses, PrimaryGroup: "spare"})),
		tell(s.PutRecordingServer(ctx, understudy.RecordingServer{ID: "rec-1", Addresses: addresses, HotStandby: "nobody"})),
		tell(s.PutFailoverServer(ctx, understudy.FailoverServer{ID: "Fo!", Addresses: addresses})),
		tell(s.Cameras(ctx)),
		tell(s.PutCamera(ctx, camera, secret)),
		tell(s.PutCamera(ctx, bad, nil)),
		tell(s.Camera(ctx, "lobby")),
		tell(s.Camera(ctx, "none")),
		tell(s.Assignment(ctx, "rec-1")),
		tell(s.Duties(ctx, "fo-1")),
		tell(s.Bundles(ctx, "fo-1", []byte("no key"))),
		tellError(s.PutPreflight(ctx, preflight)),
		tellError(s.PutPreflight(ctx, understudy.Preflight{Server: "fo-1", Homes: []understudy.ServerID{}, Findings: []understudy.Finding{{Camera: "../x", About: understudy.AboutCamera}}})),
		tell(s.Preflights(ctx)),
		tell(s.Maintain(ctx, "rec-1", understudy.Maintenance{Until: time.Now().Add(time.Hour), Reason: "new disks"})),
		tell(s.Maintain(ctx, "rec-1", understudy.Maintenance{Until: from})),
		tell(s.Maintain(ctx, "rec-1", understudy.Maintenance{})),
		tell(s.FailBack(ctx, "rec-1")),
		tell(s.FailBack(ctx, "none")),
		tell(s.Claim(ctx, claim)),
		tell(s.Claim(ctx, claim)),
		tell(s.Claim(ctx, changed)),
		tell(s.Claim(ctx, stale)),
		tellError(s.Report(ctx, "rec-1", understudy.Report{Kind: understudy.EventCamera, Camera: "lobby", Sentence: "Lobby is lost."})),
		tellError(s.Report(ctx, "rec-1", understudy.Report{Kind: "weather", Sentence: "Rain."})),
		tell(s.Trigger(ctx, understudy.Trigger{ID: "door-1", Camera: "lobby", Name: "door forced", Data: []byte(`{"door":7}`)})),
		tell(s.Trigger(ctx, understudy.Trigger{ID: "door-2", Camera: "none", Name: "door forced"})),
		tell(s.Trigger(ctx, understudy.Trigger{ID: "door-3", Camera: "lobby"})),
		tell(s.PutLock(ctx, lock)),
		tell(s.PutLock(ctx, understudy.Lock{ID: "case-8", Camera: "lobby", Reason: "case 8"})),
		tell(s.Locks(ctx)),
		tell(s.Site(ctx)),
		tellError(s.RemoveLock(ctx, "case-7")),
		tellError(s.RemoveLock(ctx, "case 7?")),
		tell(s.PutUser(ctx, user, new(password))),
		tell(s.PutUser(ctx, user, new(understudy.Secret("short")))),
		tell(s.PutUser(ctx, strange, new(password))),
		tell(s.PutRole(ctx, understudy.SiteRole{Name: "guard", Actions: []understudy.Action{understudy.ActionLive}})),
		tell(s.PutRole(ctx, understudy.SiteRole{Name: "guard", Actions: []understudy.Action{}})),
		tell(s.PutRole(ctx, understudy.SiteRole{Name: understudy.RoleViewer, Actions: []understudy.Action{understudy.ActionLive}})),
		tell(s.Roles(ctx)),
		tell(s.PutCameraGroup(ctx, understudy.CameraGroup{ID: "doors", Cameras: []understudy.CameraID{"lobby"}})),
		tell(s.PutCameraGroup(ctx, understudy.CameraGroup{ID: "gates", Cameras: []understudy.CameraID{"none"}})),
		tell(s.CameraGroups(ctx)),
		tell(s.PutUser(ctx, granted, nil)),
		tellError(s.DeleteRole(ctx, "guard")),
		tellError(s.DeleteCameraGroup(ctx, "doors")),
		tell(s.Users(ctx)),
		tellError(s.DeleteUser(ctx, "ada")),
		tellError(s.DeleteUser(ctx, "vera")),
		tellError(s.DeleteUser(ctx, "vera")),
		tellError(s.DeleteRole(ctx, "guard")),
		tellError(s.DeleteRole(ctx, "none")),
		tellError(s.DeleteCameraGroup(ctx, "doors")),
		tellError(s.DeleteCameraGroup(ctx, "none")),
		tellError(s.DeleteServer(ctx, "rec-1")),
		tellError(s.DeleteServer(ctx, "nobody")),
		tellError(s.DeleteGroup(ctx, "spare")),
		tellError(s.DeleteCamera(ctx, "lobby")),
		tellError(s.DeleteCamera(ctx, "lobby")),
		tell(s.Site(ctx)),
		tell(s.Events(ctx, understudy.EventQuery{Kind: understudy.EventConfig, Limit: 3})),
		tell(s.Events(ctx, understudy.EventQuery{Camera: "lobby"})),
		tell(s.Events(ctx, understudy.EventQuery{Limit: 5000})),
	}
}

// TestServices: over HTTP every service answers, and fails, as it does in the process.
func TestServices(t *testing.T) {
	transcripts := map[bool][]string{}
	for _, overHTTP := range []bool{false, true} {
		s := newSite(t)
		admin := s.administrator()
		_, rec := s.join(admin, understudy.RoleRecording, "rec-1", "10.0.0.1:7563")
		_, fo := s.join(admin, understudy.RoleFailover, "fo-1", "10.0.0.1:7563")
		if overHTTP {
			transcripts[true] = script(t.Context(), remote{admin, rec, fo})
			continue
		}
		transcripts[false] = script(understudy.WithAsker(t.Context(), understudy.Identity{User: "ada", Actions: understudy.RoleOperator.Actions(), Cameras: []understudy.CameraID{understudy.AllCameras}}), s.management)
	}
	for n, want := range transcripts[false] {
		if got := transcripts[true][n]; got != want {
			t.Errorf("call %d differs\n over HTTP %s\nin process %s", n, got, want)
		}
	}
}
