package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"understudy"
)

// Requests that were refused for want of rights are one event of who asked, from where
// and of what; the router's refusals and the services' alike.
func TestRefusalsAreTold(t *testing.T) {
	s := newSite(t)
	askers := s.askers()
	url := "https://" + s.address + base
	for range 20 {
		if status, text := askers[vera].ask(t, http.MethodGet, url+"/users", ""); status != http.StatusForbidden {
			t.Fatalf("%d %s", status, text)
		}
	}
	askers[vera].ask(t, http.MethodDelete, url+"/cameras/lobby", "")
	askers[carl].ask(t, http.MethodPut, url+"/cameras", `{"cameras":[{"id":"yard"}]}`) // not his camera, as the route finds
	askers[fo1].ask(t, http.MethodGet, url+"/servers/rec-1/assignment", "")            // another server's
	askers[vera].ask(t, http.MethodGet, url+"/cameras/lobby", "")                      // hers to see
	askers[garbage].ask(t, http.MethodGet, url+"/users", "")                           // of nobody
	s.uses.Close()
	events, err := s.management.Events(t.Context(), understudy.EventQuery{Text: "was refused", Limit: 100})
	check(t, err)
	var told []string
	for _, e := range events {
		sentence, _, _ := strings.Cut(e.Sentence, " at ")
		told = append(told, string(e.Kind)+" "+e.Actor+" "+e.From+" "+sentence)
	}
	slices.Sort(told)
	want := []string{
		"access server:fo-1 127.0.0.1 fo-1 was refused GET /api/v1/servers/{id}/assignment: one request",
		"access user:carl 127.0.0.1 carl was refused PUT /api/v1/cameras: one request",
		"access user:vera 127.0.0.1 vera was refused GET /api/v1/users, DELETE /api/v1/cameras/{id}: 21 requests",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told is\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}
