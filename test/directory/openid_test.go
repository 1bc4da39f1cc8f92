package directory_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"understudy"
)

// provider is an identity provider as a process.
type provider struct {
	issuer string
	secret string // file
	ca     string // file
	back   io.WriteCloser
	said   *bufio.Reader
}

func newProvider(t *testing.T) provider {
	t.Helper()
	needed(t, "node")
	if _, err := os.Stat("../openid-provider/node_modules/oidc-provider"); err != nil {
		t.Fatal("the identity provider of test/openid-provider is needed: run scripts/install-test-tools.sh")
	}
	dir := t.TempDir()
	d := domain{realm: realm{dir: dir}, address: "127.0.0.1"}
	d.certify(t)
	p := provider{secret: filepath.Join(dir, "secret"), ca: d.ca()}
	const secret = "a secret of the site and its provider"
	d.write(t, "secret", secret+"\n")
	c := exec.CommandContext(t.Context(), "node", "provider.mjs", filepath.Join(dir, "dc.pem"), filepath.Join(dir, "dc.key"), secret)
	c.Dir = "../openid-provider"
	log, err := os.Create(filepath.Join(dir, "log"))
	check(t, err)
	c.Stderr = log
	p.back, err = c.StdinPipe()
	check(t, err)
	out, err := c.StdoutPipe()
	check(t, err)
	check(t, c.Start())
	t.Cleanup(func() {
		_ = p.back.Close() // which ends it
		_ = c.Wait()
		_ = log.Close()
		if said, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the provider said:\n%s", said)
		}
	})
	p.said = bufio.NewReader(out)
	p.issuer = p.line(t)
	return p
}

func (p provider) line(t *testing.T) string {
	t.Helper()
	line, err := p.said.ReadString('\n')
	check(t, err)
	return strings.TrimSpace(line)
}

// browser is one that believes the site and the provider, and keeps cookies.
func (p provider) browser(t *testing.T, s server) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, file := range []string{p.ca, s.ca} {
		text, err := os.ReadFile(file)
		check(t, err)
		roots.AppendCertsFromPEM(text)
	}
	jar, err := cookiejar.New(nil)
	check(t, err)
	return &http.Client{Jar: jar, Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
}

// page asks for a page and returns where it ended and what it has.
func page(t *testing.T, b *http.Client, address string, form url.Values) (at *url.URL, status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	method, text := http.MethodGet, ""
	if form != nil {
		method, text = http.MethodPost, form.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(text))
	check(t, err)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := b.Do(request)
	check(t, err)
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	check(t, err)
	return response.Request.URL, response.StatusCode, string(all)
}

var formOf = regexp.MustCompile(`action="([^"]+)"`)

// signsIn goes to the site as a user of the provider, up to where the provider sends back.
func (p provider) signsIn(t *testing.T, b *http.Client, s server, user string) (at *url.URL, status int, body string) {
	t.Helper()
	at, status, body = page(t, b, "https://"+local(s.secure)+"/api/v1/sign-in/openid", nil)
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {user}, "password": {"any"}}, {"prompt": {"consent"}}} {
		action := formOf.FindStringSubmatch(body)
		if !strings.HasPrefix(at.String(), p.issuer) || action == nil {
			t.Fatalf("the provider asks %s to sign in, not %s (%d): %.400s", user, at, status, body)
		}
		target, err := at.Parse(html.UnescapeString(action[1]))
		check(t, err)
		at, status, body = page(t, b, target.String(), form)
	}
	return at, status, body
}

// TestOpenID: who signs in at the provider has the rights of the groups that it
// names, and nobody comes in by an answer that was not meant for this browser.
func TestOpenID(t *testing.T) {
	p := newProvider(t)
	s := serve(t, map[string]any{
		"openid": map[string]any{"issuer": p.issuer, "client_id": "understudy", "secret_file": p.secret, "ca_file": p.ca, "scopes": []string{"groups"}},
		"grants": []any{groupGrant("Guards", understudy.RoleOperator)},
	})
	site := "https://" + local(s.secure)
	_, err := io.WriteString(p.back, site+"/api/v1/sign-in/openid/back\n")
	check(t, err)
	if said := p.line(t); said != "ready" {
		t.Fatalf("the provider said %q", said)
	}

	b := p.browser(t, s)
	_, _, doors := page(t, b, site+"/api/v1/sign-in", nil)
	if !strings.Contains(doors, `"openid":true`) {
		t.Errorf("the page is told of the provider, was told %s", doors)
	}
	at, status, _ := p.signsIn(t, b, s, "ada")
	if at.String() != site+"/" || status != http.StatusOK {
		t.Fatalf("ada ends at the page, not at %s (%d)", at, status)
	}
	var ada understudy.Identity
	_, _, me := page(t, b, site+"/api/v1/me", nil)
	check(t, json.Unmarshal([]byte(me), &ada))
	if ada.User != "ada@127.0.0.1" || ada.May(understudy.ActionPlayback, "lobby") != nil || ada.May(understudy.ActionAdminister, "") == nil {
		t.Errorf("who is in Guards is an operator, not %s", me)
	}
	events, err := s.admin.Events(t.Context(), understudy.EventQuery{Limit: 100})
	check(t, err)
	signed := false
	for _, e := range events {
		signed = signed || e.Actor == "user:ada@127.0.0.1" && strings.Contains(e.Sentence, "signed in from 127.0.0.1")
	}
	if !signed {
		t.Errorf("the log names ada: %+v", events)
	}

	_, status, body := p.signsIn(t, p.browser(t, s), s, "vera")
	if status != http.StatusForbidden || !strings.Contains(body, "vera@127.0.0.1") {
		t.Errorf("vera is in no group, and is told so, not %d %s", status, body)
	}

	// The provider's answer, caught and shown by another browser, or a second time.
	caught := p.browser(t, s)
	var answer string
	caught.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), site+"/api/v1/sign-in/openid/back") {
			answer = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	p.signsIn(t, caught, s, "ada")
	if answer == "" {
		t.Fatal("the provider sent nobody back")
	}
	if _, status, body := page(t, p.browser(t, s), answer, nil); status != http.StatusUnauthorized || !strings.Contains(body, "another browser") {
		t.Errorf("another browser gets no session by it: %d %s", status, body)
	}
	if _, status, body := page(t, caught, strings.Replace(answer, "state=", "state=x", 1), nil); status != http.StatusUnauthorized {
		t.Errorf("another state is refused: %d %s", status, body)
	}
	if _, status, _ := page(t, caught, answer, nil); status != http.StatusUnauthorized {
		t.Errorf("after a try the answer is worth nothing: %d", status)
	}
}
