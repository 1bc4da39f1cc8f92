package site_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/site"
)

// open is what answers anybody: a health answer, the page's own files, the
// description of the API, the certificate to install, and the doors themselves.
var open = []string{
	"GET /", "GET /docs", "GET /docs/", "GET /docs/{file}", "GET /openapi.json", "GET /api/v1/health", "GET /api/v1/ca.pem",
	"POST /api/v1/sign-in", "POST /api/v1/setup", "POST /api/v1/join",
}

// Nothing on any port answers nobody, a stranger's certificate, or a password in the clear.
func TestEveryPortRefusesStrangers(t *testing.T) {
	s := up(t, false)
	https := strings.TrimPrefix(s.URL, "https://")
	strangers := map[string]*tls.Config{"nobody": anonymous("")}
	for _, role := range []understudy.Role{understudy.RoleRecording, understudy.RoleFailover, understudy.RoleManagement} {
		strangers["a "+string(role)+" server of another installation"] = foreign(t, role)
	}
	rec1 := s.Layout.Recording[0].Addresses
	fo1 := s.Layout.Failover[0].Addresses
	routes := managementRoutes(t, s)
	media := []string{"/v1/cameras/north/live", "/v1/cameras/north/live.mp4", "/v1/cameras/north/segments", "/v1/cameras/north/media.mp4",
		"/v1/cameras/north/hls/index.m3u8", "/v1/cameras/north/hls/init.mp4", "/v1/cameras/north/hls/part.m4s", "/v1/segments/north/x"}
	for name, config := range strangers {
		t.Run(name, func(t *testing.T) {
			for _, port := range []string{https, s.HTTP} {
				for _, r := range routes {
					refused(t, config, port, r[0], r[1])
				}
			}
			for _, address := range []string{rec1.Media, fo1.Media} {
				for _, path := range media {
					refused(t, config, address, http.MethodGet, path)
				}
				rtspRefused(t, config, address)
			}
			for _, address := range []string{rec1.State, fo1.State, rec1.Merge} {
				silent(t, config, address)
			}
		})
	}
	t.Run("without TLS", func(t *testing.T) {
		for _, port := range []string{https, s.HTTP} {
			for _, r := range routes {
				plainRefused(t, port, r[0], r[1], "")
			}
			plainRefused(t, port, "POST", "/api/v1/sign-in", fmt.Sprintf(`{"name":%q,"password":%q}`, s.User, string(s.Password)))
		}
		for _, address := range []string{rec1.Media, fo1.Media} {
			plainRefused(t, address, "GET", media[0], "")
			rtspRefused(t, nil, address)
		}
		for _, address := range []string{rec1.State, fo1.State, rec1.Merge} {
			silent(t, nil, address)
		}
	})
}

func anonymous(server string) *tls.Config {
	// The stranger does not care who answers; what counts is what it is told.
	return &tls.Config{InsecureSkipVerify: true, ServerName: server, MinVersion: tls.VersionTLS13}
}

// foreign shows a certificate of another installation, whoever asks for which.
func foreign(t *testing.T, role understudy.Role) *tls.Config {
	t.Helper()
	authority, err := identity.OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	node, err := authority.Node("fo1", role, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	config := anonymous("rec1.server.understudy.internal")
	theirs := node.ClientTLS("rec1")
	config.Certificates, config.GetClientCertificate = theirs.Certificates, theirs.GetClientCertificate
	if len(config.Certificates) == 0 && config.GetClientCertificate == nil {
		t.Fatal("the stranger has no certificate to show")
	}
	return config
}

// managementRoutes returns method and path of every route that must refuse, as the API describes itself.
func managementRoutes(t *testing.T, s *site.Site) [][2]string {
	t.Helper()
	response, err := s.Client.HTTP("").Get(s.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var description struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.NewDecoder(response.Body).Decode(&description); err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	var routes [][2]string
	for _, path := range slices.Sorted(maps.Keys(description.Paths)) {
		for method := range description.Paths[path] {
			method = strings.ToUpper(method)
			if !slices.Contains(open, method+" "+path) {
				routes = append(routes, [2]string{method, parameter.ReplaceAllString(path, "north")})
			}
		}
	}
	if len(routes) < 20 {
		t.Fatalf("the API describes %d routes that must refuse; that cannot be all", len(routes))
	}
	return append(routes, [2]string{"GET", "/api/v1/channel"}, [2]string{"GET", "/relay/rec1/v1/cameras/north/live"})
}

func refused(t *testing.T, config *tls.Config, address, method, path string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		if !strings.Contains(err.Error(), "tls") {
			t.Errorf("%s %s on %s: %v, want a refusal", method, path, address, err)
		}
		return // not even the handshake
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s %s on %s answers %s to a stranger, want 401", method, path, address, response.Status)
	}
}

// plainRefused: nothing is done, and nothing told, without TLS. A redirect to
// the encrypted port is an answer; the health answer is the only other one.
func plainRefused(t *testing.T, address, method, path, body string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Errorf("%s %s on %s without TLS: %v, want an answer that says what to do", method, path, address, err)
		return
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusForbidden:
	case body == "" && response.StatusCode == http.StatusPermanentRedirect && strings.HasPrefix(response.Header.Get("Location"), "https://"):
	default:
		t.Errorf("%s %s on %s without TLS answers %s", method, path, address, response.Status)
	}
}

func rtspRefused(t *testing.T, config *tls.Config, address string) {
	t.Helper()
	scheme := "rtsps"
	if config == nil {
		scheme = "rtsp"
	}
	answer, err := exchange(t.Context(), config, address, "DESCRIBE "+scheme+"://"+address+"/north RTSP/1.0\r\nCSeq: 1\r\n\r\n")
	if err == nil && !strings.Contains(answer, " 401 ") && !strings.Contains(answer, " 403 ") {
		t.Errorf("RTSP on %s answers %q to a stranger", address, answer)
	}
}

// silent: not a byte of an answer for those without a certificate of the installation.
func silent(t *testing.T, config *tls.Config, address string) {
	t.Helper()
	answer, err := exchange(t.Context(), config, address, "\x00\x00\x00\x02{}\r\n\r\n")
	if err == nil && !strings.HasPrefix(answer, "HTTP/1.1 403") {
		t.Errorf("%s answers %q to a stranger", address, answer)
	}
}

// exchange sends a line or so and returns the first line of the answer.
func exchange(ctx context.Context, config *tls.Config, address, say string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var conn net.Conn
	var err error
	if config == nil {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	} else {
		conn, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, say); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if line != "" {
		return line, nil
	}
	return "", err
}
