// Package directory_test lets people in by doors that we did not write: a real
// Kerberos realm, a real Active Directory domain, curl as the client.
package directory_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/site"
)

const password = understudy.Secret("correct horse battery")

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needed fails without the programs that scripts/install-test-tools.sh installs.
func needed(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a directory and a management server as real processes take some seconds; skipped with -short")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is needed: run scripts/install-test-tools.sh", program)
		}
	}
}

// binary is the program, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "understudy-directory-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "understudy")
	out, err := exec.Command("go", "build", "-o", path, "understudy/cmd/understudy").CombinedOutput()
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInternal, "the program could not be built: %s", out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// server is a management server as a process.
type server struct {
	plain, secure string // host:port
	ca            string // file
	admin         *client.Client
}

// serve runs a management server with these settings.
func serve(t *testing.T, settings map[string]any) server {
	t.Helper()
	program, err := binary()
	check(t, err)
	dir := t.TempDir()
	settings["data"], settings["hosts"] = filepath.Join(dir, "data"), []string{"localhost", "127.0.0.1"}
	settings["http"], settings["https"] = "127.0.0.1:0", "127.0.0.1:0"
	text, err := json.Marshal(settings) // JSON is YAML
	check(t, err)
	file, log := filepath.Join(dir, "management.yaml"), filepath.Join(dir, "log")
	check(t, os.WriteFile(file, text, 0o600))
	p := site.NewProcess("management", log, program, "management", "--config", file)
	check(t, p.Start())
	t.Cleanup(func() {
		_ = p.Signal(os.Kill)
		<-p.Gone()
		if said, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("the management server said:\n%s", said)
		}
	})
	s := server{ca: filepath.Join(dir, "data", "ca.pem")}
	var code []byte
	eventually(t, "the management server to start", func(context.Context) bool {
		said, _ := os.ReadFile(log)
		if !p.Running() {
			t.Fatalf("the management server ended: %s", said)
		}
		at := regexp.MustCompile(`(?m) on (\S+:\d+) and (\S+:\d+)$`).FindSubmatch(said)
		code, _ = os.ReadFile(filepath.Join(dir, "data", "setup-code"))
		if at == nil || len(code) == 0 {
			return false
		}
		s.plain, s.secure = string(at[1]), string(at[2])
		return true
	})
	ca, err := os.ReadFile(s.ca)
	check(t, err)
	config, err := identity.UserTLS(ca)
	check(t, err)
	s.admin, err = client.New(client.Config{Addresses: []string{"https://" + s.secure}, TLS: func(understudy.ServerID) *tls.Config { return config }})
	check(t, err)
	t.Cleanup(s.admin.Close)
	eventually(t, "the first administrator", func(ctx context.Context) bool {
		return s.admin.Setup(ctx, understudy.Secret(strings.TrimSpace(string(code))), "root", password) == nil
	})
	_, err = s.admin.SignIn(t.Context(), "root", password)
	check(t, err)
	return s
}

// eventually waits for something that is certain to come.
func eventually(t *testing.T, what string, done func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ticker := time.NewTicker(50 * time.Millisecond); !done(ctx); {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for %s in vain", what)
		case <-ticker.C:
		}
	}
}

// run runs a program to its end and returns what it said. A domain is provisioned
// in seconds, and in two minutes on a machine that has much else to do.
func run(t *testing.T, env []string, stdin string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env, c.Stdin = append(os.Environ(), env...), strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}

// person is somebody at a computer: a cache of tickets, or none.
type person struct {
	env []string
}

// answer is what curl was answered.
type answer struct {
	status    int
	challenge string // WWW-Authenticate
	body      string
}

// curl asks once.
func (p person) curl(t *testing.T, args ...string) answer {
	t.Helper()
	out := run(t, p.env, "", append([]string{"curl", "--silent", "--show-error", "--max-time", "60", "--dump-header", "-"}, args...)...)
	head, body, _ := strings.Cut(out, "\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head+"\r\n\r\n")), nil)
	if err != nil {
		t.Fatalf("curl %v was answered no HTTP: %v\n%s", args, err, out)
	}
	_ = response.Body.Close()
	return answer{response.StatusCode, response.Header.Get("WWW-Authenticate"), body}
}

// listening is a curl that reads the service channel.
type listening struct {
	out  *lockedBuffer
	gone chan struct{}
}

func (p person) listen(t *testing.T, args ...string) listening {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, "curl", append([]string{"--silent", "--no-buffer"}, args...)...)
	l := listening{&lockedBuffer{}, make(chan struct{})}
	c.Env, c.Stdout = append(os.Environ(), p.env...), l.out
	check(t, c.Start())
	go func() {
		defer close(l.gone)
		_ = c.Wait() // killed at the end
	}()
	t.Cleanup(func() { cancel(); <-l.gone })
	return l
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (a answer) require(t *testing.T, what string, status int, words ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: must be answered %d, was %d %.400s", what, status, a.status, a.body)
	}
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			t.Errorf("%s: the answer must have %q, was %d %.400s", what, word, a.status, a.body)
		}
	}
}
