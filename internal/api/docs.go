package api

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"understudy"
)

// docsFiles is a page that shows the OpenAPI description, without anything from elsewhere.
//
//go:embed docs
var docsFiles embed.FS

// describePlainRoutes adds what is not REST to the description.
func (s *server) describePlainRoutes() {
	for _, o := range []struct{ id, path, summary, description, content string }{
		{"get-channel", base + "/channel", "Follow the site: server-sent events", "Events named site (the snapshot), event (one change), status (what was last seen of each server) and reset " +
			"(what follows does not continue what came before). The id of site and event is a cursor; Last-Event-ID or ?cursor= resumes after it. " + may(understudy.ActionStatus).text, "text/event-stream"},
		{"get-health", base + "/health", "Whether the server answers; also without TLS", anyone.text, "application/json"},
		{"get-ca", base + "/ca.pem", "The installation's CA certificate, to be installed in browsers", anyone.text, "application/x-pem-file"},
		{"get-relay", "/relay/{server}/{path}", "What the media port of a server answers, for browsers that cannot connect to it",
			"?token= is a media token, and decides what may be seen. WebSockets are relayed, too. " + may(understudy.ActionStatus).text, "*/*"},
	} {
		op := &huma.Operation{
			OperationID: o.id, Method: http.MethodGet, Path: o.path, Tags: []string{"plain"},
			Summary: o.summary, Description: o.description,
			Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{o.content: {}}}},
		}
		for _, name := range []string{"server", "path"} {
			if strings.Contains(o.path, "{"+name+"}") {
				op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
			}
		}
		s.huma.OpenAPI().AddOperation(op)
	}
}

// docsRoutes serves what the API is. It is open like the page's own files:
// nothing of a site is in it.
func (s *server) docsRoutes() {
	s.describePlainRoutes()
	description, err := json.Marshal(s.huma.OpenAPI())
	s.gate.handle("GET /openapi.json", anyone, func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			writeError(w, r, s.Log, understudy.Errorf(understudy.CodeInternal, "the description of the API could not be written: %w", err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(description) // the client may be gone
	})
	files, err := fs.Sub(docsFiles, "docs")
	if err != nil {
		panic(err) // the embedded folder has that name
	}
	s.gate.handle("GET /docs", anyone, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/docs/", http.StatusMovedPermanently)
	})
	s.gate.handle("GET /docs/", anyone, http.StripPrefix("/docs", http.FileServerFS(files)).ServeHTTP)
}
