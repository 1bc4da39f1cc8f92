package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"understudy"
	"understudy/internal/config"
	"understudy/internal/remote"
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
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !remote.IsHere(u.Hostname())) || u.Hostname() == "" || u.User != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify: webhook is https://HOST/PATH, or http:// on this machine, without credentials", c.Name)
	}
	trust, err := remote.Roots("ca_file of notify", c.CAFile)
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
	secret, err := remote.Secret("secret_file of notify", w.config.SecretFile)
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

// hostPort splits host:port, with a default for the port.
func hostPort(address, port string) (string, string) {
	if host, given, err := net.SplitHostPort(address); err == nil {
		return host, given
	}
	return address, port
}
