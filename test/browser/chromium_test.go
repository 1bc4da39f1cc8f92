package browser

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"understudy/internal/site"
)

// open starts a browser of its own. A script that fails, and what the page's
// own policy keeps out, fail the test.
func open(t *testing.T, options ...chromedp.ExecAllocatorOption) *page {
	t.Helper()
	options = append([]chromedp.ExecAllocatorOption{
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.WindowSize(1400, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.UserDataDir(t.TempDir()),
	}, options...)
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, closePage := chromedp.NewContext(ctx)
	t.Cleanup(closePage)
	p := &page{t: t, ctx: ctx}
	p.do(chromedp.EmulateViewport(1400, 900), enableLog)
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("a script of the page failed: %+v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			if strings.Contains(e.Entry.Text, "Content Security Policy") {
				t.Errorf("the page's policy kept something out: %s", e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func enableLog(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
	return chromedp.Void{}, err
}

// openTrusting starts a browser that trusts the site's CA.
func openTrusting(t *testing.T, s *site.Site) *page {
	t.Helper()
	home := t.TempDir()
	trust(t, home, s.CA)
	return open(t, chromedp.Env("HOME="+home))
}

// trust makes a browser with that home trust the CA, as a user does by importing it.
func trust(t *testing.T, home string, ca []byte) {
	t.Helper()
	store := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"-N", "--empty-password"}, {"-A", "-t", "C,,", "-n", "understudy", "-i", file}} {
		command := exec.CommandContext(t.Context(), "certutil", append([]string{"-d", "sql:" + store}, arguments...)...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
}

// publicKeyHash returns the hash of the public key of the page's certificate,
// as the browser's switch wants it: no other certificate is accepted by it.
func publicKeyHash(t *testing.T, s *site.Site) string {
	t.Helper()
	address, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	host := address.Host
	if address.Port() == "" {
		host += ":443"
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hash := sha256.Sum256(conn.(*tls.Conn).ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(hash[:])
}
