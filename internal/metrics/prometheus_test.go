package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestPrometheusReads as docs/metrics.md configures it: the real one scrapes over
// TLS with the token, knows the server's cameras, and evaluates the alerts.
func TestPrometheusReads(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is needed: run scripts/install-test-tools.sh")
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := write("token", "a token of enough characters\n")
	address, node := served(t, Config{Address: ":0", TokenFile: token, Ready: func() (bool, string) { return true, "ready" }})
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(filepath.Join(packaging, "prometheus/understudy.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	settings := write("prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: understudy
    scheme: https
    tls_config: {ca_file: %s}
    authorization: {credentials_file: %s}
    static_configs: [{targets: ["127.0.0.1:%s"]}]
`, rules, write("ca.pem", node.Trust().CA), token, port))
	at := freeAddress(t)
	var said bytes.Buffer
	run := exec.CommandContext(t.Context(), program, "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+at)
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	})
	for _, query := range []string{
		`understudy_cameras_expected{server="fo1"} == 2`,
		`ALERTS{alertname="UnderstudyStorageNotWritable", server="fo1", folder="/disk2"}`,
		`ALERTS{alertname="UnderstudyCapacityShort", server="fo1"}`,
	} {
		if !answers(t, at, query) {
			_ = run.Process.Kill()
			_ = run.Wait()
			t.Fatalf("Prometheus does not know %s\n%s", query, &said)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answers asks Prometheus until a query has a result, for a minute.
func answers(t *testing.T, at, query string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for ticker := time.NewTicker(100 * time.Millisecond); ; {
		if results(ctx, client, "http://"+at+"/api/v1/query?query="+url.QueryEscape(query)) > 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

func results(ctx context.Context, client *http.Client, address string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0 // it has not started yet
	}
	defer answer.Body.Close()
	var said struct{ Data struct{ Result []any } }
	if json.NewDecoder(answer.Body).Decode(&said) != nil {
		return 0
	}
	return len(said.Data.Result)
}
