package api

import (
	"bytes"
	"context"
	"net/http"

	"understudy"
)

// incidentRoutes serve the stories of failovers. Who may see which cameras of
// one, the service decides by who asks.
func (s *server) incidentRoutes() {
	if s.Incidents == nil {
		return
	}
	status := may(understudy.ActionStatus)
	operation(s, route{method: "GET", path: "/incidents", access: status, tag: "incidents", summary: "List takeovers and what became of them, the newest first"},
		func(ctx context.Context, in *struct {
			Limit int `query:"limit" minimum:"0" maximum:"200" doc:"0 is 50"`
		}) (*answer[[]understudy.Incident], error) {
			return list(s.Incidents.Incidents(ctx, in.Limit))
		})
	operation(s, route{method: "GET", path: "/incidents/{name}", access: status, tag: "incidents", summary: "One incident, with what it cost as of now"},
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (*answer[understudy.Incident], error) {
			return one(s.Incidents.Incident(ctx, in.Name))
		})
	if s.Report != nil {
		s.gate.handle("GET "+base+"/incidents/{name}/report", status, s.report)
	}
}

// report is a download: a page that needs nothing else, for whoever was not there.
func (s *server) report(w http.ResponseWriter, r *http.Request) {
	i, err := s.Incidents.Incident(r.Context(), r.PathValue("name"))
	if err != nil {
		writeError(w, r, s.Log, err)
		return
	}
	var page bytes.Buffer
	if err := s.Report(&page, i); err != nil {
		writeError(w, r, s.Log, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="understudy-incident-`+i.ID+`.html"`)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	_, _ = w.Write(page.Bytes()) // the client may be gone
}
