package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"understudy"
	"understudy/internal/config"
)

const idleTime = 90 * time.Second

// webhook posts messages as JSON. The body is signed, where there is a secret,
// in the header Understudy-Signature: sha256=HEX of its HMAC.
type webhook struct {
	config config.Target
	client *http.Client
}

func newWebhook(c config.Target) (sender, error) {
	u, err := url.Parse(c.Webhook)
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) || u.Hostname() == "" || u.User != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify: webhook is https://HOST/PATH, or http:// on this machine, without credentials", c.Name)
	}
	trust, err := roots(c.CAFile)
	if err != nil {
		return nil, err
	}
	return &webhook{c, &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trust},
			ForceAttemptHTTP2: true, IdleConnTimeout: idleTime,
		},
		// Another address than the one that was configured is told nothing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (w *webhook) send(ctx context.Context, m message) error {
	body, err := m.json()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.Webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "understudy")
	secret, err := secretOf(w.config.SecretFile)
	if err != nil {
		return err
	}
	if secret != "" {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		request.Header.Set("Understudy-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	answer, err := w.client.Do(request)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the webhook does not answer: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	if answer.StatusCode/100 != 2 {
		return understudy.Errorf(understudy.CodeUnavailable, "the webhook answered %s; 2xx was expected", answer.Status)
	}
	return nil
}

// secretOf reads a secret each time, so that it can be changed; "" for no file.
func secretOf(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInvalid, "a secret of notify cannot be read: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// roots are whom to trust; nil is whom the system trusts.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a ca_file of notify cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, understudy.Errorf(understudy.CodeInvalid, "ca_file %s has no certificate in PEM", file)
	}
	return pool, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// hostPort splits host:port, with a default for the port.
func hostPort(address, port string) (string, string) {
	if host, given, err := net.SplitHostPort(address); err == nil {
		return host, given
	}
	return address, port
}
