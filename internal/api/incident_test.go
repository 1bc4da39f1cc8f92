package api

import (
	"net/http"
	"strings"
	"testing"

	"understudy"
)

// claim lets a server claim cameras of rec-1.
func (s *site) claim(id string, kind understudy.ClaimKind, by understudy.ServerID, epoch uint64, cameras ...understudy.CameraID) {
	s.t.Helper()
	c := understudy.Claim{ID: id, Claimant: by, Home: "rec-1", Kind: kind, Sentence: "it was decided."}
	for _, camera := range cameras {
		c.Cameras = append(c.Cameras, understudy.CameraEpoch{Camera: camera, Epoch: epoch})
	}
	ctx := s.t.Context()
	home, err := s.management.PutRecordingServer(ctx, understudy.RecordingServer{ID: "rec-1", HotStandby: "fo-1",
		Addresses: understudy.Addresses{Media: "127.0.0.1:7563", State: "127.0.0.1:11000"}})
	check(s.t, err)
	answer, err := s.management.Claim(ctx, c)
	check(s.t, err)
	if len(answer.Granted) != len(cameras) {
		s.t.Fatalf("the claim on %s must be granted, got %+v", home.ID, answer)
	}
}

// incidents are those of the site, as a server may see them all.
func (s *site) incidents() []understudy.Incident {
	s.t.Helper()
	ctx := understudy.WithAsker(s.t.Context(), understudy.Identity{Server: "rec-1", Role: understudy.RoleRecording})
	all, err := s.config.Incidents.Incidents(ctx, 0)
	check(s.t, err)
	return all
}

// A report loads nothing and runs nothing, whatever a server wrote into the log.
func TestIncidentReport(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	_, rec := s.join(admin, understudy.RoleRecording, "rec-1", "127.0.0.1:7563")
	_, fo := s.join(admin, understudy.RoleFailover, "fo-1", "127.0.0.1:7564")
	_, err := admin.PutCamera(t.Context(), understudy.Camera{ID: "lobby", Home: "rec-1", URL: "rtsp://10.0.0.8/1"}, nil)
	check(t, err)
	s.claim("claim-0001", understudy.ClaimTakeover, "fo-1", 1, "lobby")
	check(t, fo.Report(t.Context(), "fo-1", understudy.Report{Kind: understudy.EventServer, Sentence: `<script src="https://evil.example/x.js"></script>`,
		Milestones: []understudy.Milestone{{Kind: understudy.MilestoneBack, Home: "rec-1", At: s.incidents()[0].Begun}}}))
	if err := rec.Report(t.Context(), "rec-1", understudy.Report{Kind: understudy.EventServer, Sentence: "x", Milestones: []understudy.Milestone{{Kind: "back", Home: "Bad Id"}}}); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("a milestone of no server must be refused as invalid, got %v", err)
	}
	id := s.incidents()[0].ID
	whole, err := admin.Incident(t.Context(), id)
	check(t, err)
	if len(whole.Steps) == 0 || whole.Phase != understudy.IncidentStandingIn || whole.Cameras[0].Account == nil {
		t.Errorf("the incident must have its steps and what it cost, is %+v", whole)
	}
	page, err := admin.IncidentReport(t.Context(), id)
	check(t, err)
	text := string(page)
	if !strings.Contains(text, "&lt;script") || strings.Contains(text, "<script") || strings.Contains(text, `href="http`) || strings.Contains(text, "<link") || strings.Contains(text, "url(") {
		t.Errorf("the report must load and run nothing, is %s", text)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address+base+"/incidents/"+id+"/report", nil)
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+string(admin.Token()))
	response, err := admin.HTTP("").Do(request)
	check(t, err)
	defer response.Body.Close()
	if h := response.Header; !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") {
		t.Errorf("the report must be a download that may do nothing, has %v", h)
	}
	if _, err := admin.Incident(t.Context(), "rec-1-999"); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("an incident that does not exist: %v, want CodeNotFound", err)
	}
}
