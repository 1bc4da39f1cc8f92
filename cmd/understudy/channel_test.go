package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"understudy"
	"understudy/internal/config"
	"understudy/internal/identity"
)

// A channel on ports of its own sends browsers to its own HTTPS port, also while
// no management server answers.
func TestChannelRedirectsToItsHTTPSPort(t *testing.T) {
	dir := t.TempDir()
	authority, err := identity.OpenAuthority(filepath.Join(dir, "authority"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := identity.NewJoinRequest(filepath.Join(dir, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Sign(request, "channel1", understudy.RoleChannel, []string{"127.0.0.1"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.SaveNode(filepath.Join(dir, "identity"), certificate, authority.Trust()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "management.json"), []byte(`{"addresses":["https://127.0.0.1:1"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	listeners, err := listenAll(t.Context(), "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{listeners[0].Addr().String(), listeners[1].Addr().String()}
	for _, l := range listeners {
		l.Close() // freed for the channel
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- runChannel(ctx, config.Channel{Data: dir, HTTP: addresses[0], HTTPS: addresses[1], Log: "error"}, "")
	}()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}
	location := ""
	for location == "" && len(ended) == 0 {
		if response, err := browser.Get("http://" + addresses[0] + "/api/v1/channel"); err == nil {
			location = response.Header.Get("Location")
			response.Body.Close()
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if want := "https://" + addresses[1] + "/api/v1/channel"; location != want {
		t.Errorf("sent to %q and not to %q", location, want)
	}
}
