package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"understudy"
)

// TestARecalledTokenIsReplaced: a server refuses what it was shown, and is shown another, for
// footage and for the live picture; when none is good, the refusal is told.
func TestARecalledTokenIsReplaced(t *testing.T) {
	var given, asked atomic.Int32
	var never atomic.Bool
	c := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/media-tokens") {
			_ = json.NewEncoder(w).Encode(understudy.MediaToken{Token: understudy.Secret(fmt.Sprint("token ", given.Add(1))), Expires: time.Now().Add(time.Hour)})
			return
		}
		asked.Add(1)
		if never.Load() || r.Header.Get("Authorization") != fmt.Sprint("Bearer token ", given.Load()) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "/live") {
			w.WriteHeader(http.StatusForbidden) // as far as it shall come here
		}
	})
	address := strings.TrimPrefix(c.config.Addresses[0], "https://")
	token, err := c.MediaToken(t.Context())
	check(t, err)
	given.Add(1) // the one that it has is of no use any more
	response, err := c.media(t.Context(), "rec-1", address, "/v1/cameras/lobby/still", token, 0)
	check(t, err)
	check(t, response.Body.Close())
	given.Add(1)
	if _, err := c.dialLive(t.Context(), "rec-1", address, "lobby"); understudy.CodeOf(err) != understudy.CodeForbidden { //nolint:bodyclose // there is no connection
		t.Errorf("the live picture: %v", err)
	}
	if asked.Load() != 4 || given.Load() != 5 {
		t.Errorf("the server was asked %d times, and %d tokens were given", asked.Load(), given.Load())
	}
	never.Store(true)
	if _, err := c.media(t.Context(), "rec-1", address, "/v1/cameras/lobby/still", token, 0); understudy.CodeOf(err) != understudy.CodeUnauthenticated || asked.Load() != 7 { //nolint:bodyclose // there is none
		t.Errorf("where no token is good, after %d questions: %v", asked.Load(), err)
	}
}
