package media

import (
	"net/http"
	"regexp"

	"understudy"
)

// noncePattern bounds what a caller has signed: letters that it chose by chance.
var noncePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// serveStatement answers with this server's own word on whether it serves a
// camera, and under which epoch. There is no redirect: each speaks for itself.
func (h *handler) serveStatement(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	nonce := r.URL.Query().Get("nonce")
	if !noncePattern.MatchString(nonce) {
		return understudy.Errorf(understudy.CodeInvalid, "nonce is 16 to 64 letters, digits, - and _ by chance, found %.80q", nonce)
	}
	if h.State == nil {
		return understudy.Errorf(understudy.CodeNotFound, "server %s makes no statements", h.Server)
	}
	s, err := h.State(camera, nonce)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s)
	return nil
}
