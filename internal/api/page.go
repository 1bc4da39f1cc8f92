package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"

	"understudy"
)

// contents lists the page's files, for a browser that keeps them for the day on
// which this server does not answer: those of one version, or none.
type contents struct {
	Version string   `json:"version"` // another one when any file is
	Files   []string `json:"files"`
}

// contentsOf reads the whole page.
func contentsOf(page fs.FS) (c contents, err error) {
	version := sha256.New()
	err = fs.WalkDir(page, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(page, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		version.Write([]byte(path))
		version.Write(sum[:])
		if path == "index.html" {
			path = ""
		}
		c.Files = append(c.Files, "/"+path)
		return nil
	})
	c.Version = hex.EncodeToString(version.Sum(nil)[:16])
	return c, err
}

// pageRoutes serves the page, which is nobody's secret.
func (s *server) pageRoutes() {
	s.gate.handle("GET /files.json", anyone, func(w http.ResponseWriter, r *http.Request) {
		c, err := contentsOf(s.Web)
		if err != nil {
			writeError(w, r, s.Log, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(c) // the client may be gone
	})
	files := http.FileServerFS(s.Web)
	s.gate.handle("/", anyone, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			writeError(w, r, s.Log, understudy.Errorf(understudy.CodeNotFound, "there is no %s %s; what there is stands at /docs", r.Method, r.URL.Path))
			return
		}
		files.ServeHTTP(w, r)
	})
}
