package api

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"

	"understudy"
)

// docsFiles is a page that shows the OpenAPI description, without anything from elsewhere.
//
//go:embed docs
var docsFiles embed.FS

// docsRoutes serves what the API is. It is open like the page's own files:
// nothing of a site is in it.
func (s *server) docsRoutes() {
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
