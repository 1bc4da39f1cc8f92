package notify

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"understudy"
	"understudy/internal/child"
	"understudy/internal/config"
)

// rsyslog is a real rsyslogd, as docs/operate.md configures one, that writes down what it made of
// each message.
type rsyslog struct {
	t       *testing.T
	address string
	folder  string
	process *exec.Cmd
	ended   <-chan struct{}
	said    bytes.Buffer
}

// received is a message as rsyslog has understood it.
type received struct {
	priority, at, host, app, process, id string
	data                                 map[string]map[string]string // structured: SD-ID, name
	text                                 string
}

const anRsyslog = `
global(workDirectory="%[1]s" net.enableDNS="off" DefaultNetstreamDriverCAFile="%[1]s/ca.pem" DefaultNetstreamDriverCertFile="%[1]s/certificate.pem" DefaultNetstreamDriverKeyFile="%[1]s/key.pem")
module(load="mmpstrucdata")
template(name="parsed" type="string" string="%%pri%%|%%timestamp:::date-rfc3339%%|%%hostname%%|%%app-name%%|%%procid%%|%%msgid%%|%%$!rfc5424-sd%%|%%msg%%\n")
ruleset(name="audit" queue.type="Direct") {
  action(type="mmpstrucdata" sd_name.lowercase="off")
  action(type="omfile" file="%[1]s/log" template="parsed")
}
`

// newRsyslog is an rsyslogd that listens as the lines say, in which %s is its port.
func newRsyslog(t *testing.T, lines string) *rsyslog {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := &rsyslog{t: t, address: l.Addr().String(), folder: t.TempDir()}
	certificate, text := selfSigned(t)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(r.address)
	for name, content := range map[string]string{
		"ca.pem": text, "certificate.pem": text, "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"rsyslog.conf": fmt.Sprintf(anRsyslog, r.folder) + fmt.Sprintf(lines, port), "log": "",
	} {
		if err := os.WriteFile(r.file(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(r.kill)
	return r
}

func (r *rsyslog) file(name string) string { return filepath.Join(r.folder, name) }

func (r *rsyslog) start() {
	r.t.Helper()
	r.process = exec.Command("/usr/sbin/rsyslogd", "-n", "-f", r.file("rsyslog.conf"), "-i", r.file("pid"))
	r.process.Stdout, r.process.Stderr = &r.said, &r.said
	var err error
	if r.ended, err = child.Start(r.process, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
}

// kill is SIGKILL: what rsyslog has not written down is gone. Of a line that it was writing a part
// may be there, onto which the next rsyslogd would write its first.
func (r *rsyslog) kill() {
	if r.ended == nil {
		return
	}
	_ = r.process.Process.Kill()
	<-r.ended
	r.ended = nil
	if err := os.Remove(r.file("pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Error(err)
	}
	text, err := os.ReadFile(r.file("log"))
	if err == nil {
		err = os.Truncate(r.file("log"), int64(bytes.LastIndexByte(text, '\n')+1))
	}
	if err != nil {
		r.t.Error(err)
	}
}

// log is what rsyslog has written down, whole lines only.
func (r *rsyslog) log() []received {
	r.t.Helper()
	text, err := os.ReadFile(r.file("log"))
	if err != nil {
		r.t.Fatal(err)
	}
	var all []received
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			continue
		}
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "|", 8)
		if len(f) != 8 {
			r.t.Fatalf("rsyslog wrote %q", line)
		}
		got := received{priority: f[0], at: f[1], host: f[2], app: f[3], process: f[4], id: f[5], text: f[7]}
		if err := json.Unmarshal([]byte(f[6]), &got.data); err != nil {
			r.t.Fatalf("rsyslog found no structured data: %q, %v", line, err)
		}
		all = append(all, got)
	}
	return all
}

func (r *rsyslog) size() int64 {
	r.t.Helper()
	info, err := os.Stat(r.file("log"))
	if err != nil {
		r.t.Fatal(err)
	}
	return info.Size()
}

// wait waits until enough says so.
func (r *rsyslog) wait(what string, enough func() bool) {
	r.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !enough(); <-ticker.C {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s did not come; rsyslog has %d messages and says %s", what, len(r.log()), r.said.String())
		}
	}
}

// heard counts the events that rsyslog has, by their number.
func (r *rsyslog) heard() map[string]int {
	heard := map[string]int{}
	for _, m := range r.log() {
		if seq := m.data[structured]["seq"]; seq != "" {
			heard[seq]++
		}
	}
	return heard
}

// listening are the ways in which rsyslog listens, and how a target speaks to each.
var listening = map[string]struct {
	needs  string // of rsyslog's modules
	lines  string
	target func(r *rsyslog) config.Target
}{
	"tls to GnuTLS, each known by a certificate": {"lmnsd_gtls.so", `
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/name" PermittedPeer="mail")
input(type="imtcp" address="127.0.0.1" port="%s" ruleset="audit")`, func(r *rsyslog) config.Target {
		return config.Target{Syslog: "tls://" + r.address, CAFile: r.file("ca.pem"), CertificateFile: r.file("certificate.pem"), KeyFile: r.file("key.pem")}
	}},
	"tls to OpenSSL": {"lmnsd_ossl.so", `
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" address="127.0.0.1" port="%s" ruleset="audit")`, func(r *rsyslog) config.Target {
		return config.Target{Syslog: "tls://" + r.address, CAFile: r.file("ca.pem")}
	}},
	"tcp": {"imtcp.so", `
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="%s" ruleset="audit")`, func(r *rsyslog) config.Target {
		return config.Target{Syslog: "tcp://" + r.address}
	}},
	"udp": {"imudp.so", `
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="%s" ruleset="audit")`, func(r *rsyslog) config.Target {
		return config.Target{Syslog: "udp://" + r.address}
	}},
}

// TestRsyslog: each event arrives once, and is understood.
func TestRsyslog(t *testing.T) {
	for name, way := range listening {
		t.Run(name, func(t *testing.T) {
			needRsyslog(t, way.needs)
			t.Parallel()
			r := newRsyslog(t, way.lines)
			r.start()
			c := way.target(r)
			c.Name = "siem"
			r.wait("rsyslog", func() bool { return try(t, c) == nil })
			r.wait("the message that tries it", func() bool { return len(r.log()) == 1 })
			if m := r.log()[0]; m.data[structured]["test"] != "true" || m.id != "server" {
				t.Errorf("the message that tries it is %+v", m)
			}

			log := newLog()
			follows(t, c, log)
			events := []understudy.Event{
				{Kind: understudy.EventTakeover, Server: "fo1", Actor: "server:fo1", Sentence: "fo1 took over 4 cameras.", Hash: strings.Repeat("a1", 32)},
				{Kind: understudy.EventConfig, Camera: "lobby", Actor: `user:a"\]b`, From: "10.0.0.7", Sentence: "Die Kamera „Tür“ wurde\r\n<13>1 geändert."},
				{Kind: understudy.EventStorage, Server: "rec1", Actor: "server:rec1", Sentence: strings.Repeat("lang ", 2000)},
			}
			for _, e := range events {
				log.append(e)
			}
			for range 500 {
				log.append(understudy.Event{Kind: understudy.EventAccess, Actor: "user:ada", From: "::1", Sentence: "ada signed in."})
			}
			r.wait("503 events", func() bool { return len(r.heard()) == 503 })
			all := r.log()[1:]
			if len(all) != 503 {
				t.Errorf("%d messages of 503 events", len(all))
			}
			here, _ := os.Hostname()
			for i, m := range all {
				e := log.events[i]
				want := map[string]string{"site": "Linz", "seq": strconv.Itoa(i + 1), "kind": string(e.Kind), "server": string(e.Server), "camera": string(e.Camera),
					"actor": e.Actor, "address": e.From, "hash": e.Hash}
				maps.DeleteFunc(want, func(_, v string) bool { return v == "" })
				if at, err := time.Parse(time.RFC3339, m.at); err != nil || at.Sub(e.At).Abs() > time.Millisecond || m.host != here || m.app != "understudy" || m.process != "-" || m.id != string(e.Kind) || !maps.Equal(m.data[structured], want) {
					t.Fatalf("event %+v is %+v, %v", e, m, err)
				}
				sentence := strings.TrimPrefix(m.text, "\ufeff")
				if whole := oneLine(e.Sentence); !isOf(sentence, whole) || len(whole) < 1000 && sentence != whole {
					t.Fatalf("event %d says %q", i+1, m.text)
				}
			}
			if got := []string{all[0].priority, all[1].priority, all[2].priority}; fmt.Sprint(got) != "[106 110 108]" {
				t.Errorf("priorities are %v", got)
			}
		})
	}
}

// TestRsyslogIsKilled while it is sent to, again and again: each event is there at the end. Some are
// there twice.
func TestRsyslogIsKilled(t *testing.T) {
	for name, way := range listening {
		if name == "udp" { // which promises nothing
			continue
		}
		t.Run(name, func(t *testing.T) {
			needRsyslog(t, way.needs)
			t.Parallel()
			r := newRsyslog(t, way.lines)
			r.start()
			c := way.target(r)
			c.Name = "siem"
			log := newLog()
			follows(t, c, log)
			for range 2 {
				before := r.size()
				for range 600 {
					log.add(understudy.EventAccess, "ada signed in.")
				}
				r.wait("the next event", func() bool { return r.size() > before })
				r.kill()
				r.start()
			}
			r.wait("the last events", func() bool { return len(r.heard()) == 1200 })
			t.Logf("of 1200 events there are %d messages", len(r.log()))
		})
	}
}

// TestRsyslogIsNotBelieved: one that nobody vouches for, and one that does not know us.
func TestRsyslogIsNotBelieved(t *testing.T) {
	needRsyslog(t, "lmnsd_gtls.so")
	way := listening["tls to GnuTLS, each known by a certificate"]
	r := newRsyslog(t, way.lines)
	r.start()
	c := way.target(r)
	r.wait("rsyslog", func() bool { return try(t, c) == nil })
	stranger, nobody := c, c
	_, other := selfSigned(t)
	stranger.CAFile = write(t, "ca.pem", other)
	nobody.CertificateFile, nobody.KeyFile = "", ""
	for name, c := range map[string]config.Target{"with a server that nobody vouches for": stranger, "without a certificate": nobody} {
		if err := try(t, c); err == nil {
			t.Errorf("%s, it is said to have been told", name)
		}
	}
	if n := len(r.log()); n != 1 {
		t.Errorf("rsyslog has %d messages, want 1", n)
	}
}

func needRsyslog(t *testing.T, module string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/rsyslog/" + module)
	if _, missing := os.Stat("/usr/sbin/rsyslogd"); missing != nil || err != nil || len(found) == 0 {
		t.Skipf("rsyslog with %s is not installed: run scripts/install-test-tools.sh", module)
	}
}

// follows tells a target of a log, from its first event on, until the test ends.
func follows(t *testing.T, c config.Target, log *eventLog) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, file), []byte(`{"siem":"log-1:0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := New(config.Notify{Site: "Linz", Targets: []config.Target{c}}, log.feeds(), folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}
