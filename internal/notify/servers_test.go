package notify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"understudy/internal/config"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// try sends one message to one target, as `understudy notify test` does.
func try(t *testing.T, c config.Target) error {
	t.Helper()
	c.Name = "operators"
	results, err := Try(t.Context(), config.Notify{Site: "Linz", Targets: []config.Target{c}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 1 || results[0].Target != "operators" {
		t.Fatalf("%+v", results)
	}
	return results[0].Err
}

const subject = "Understudy Linz: This is a test of Understudy's notifications; nothing has happened."

func TestAWebhook(t *testing.T) {
	status, got := http.StatusNoContent, ""
	var signature string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", r.Method, r.Header, err)
		}
		got, signature = string(body), r.Header.Get("Understudy-Signature")
		w.Header().Set("Location", "https://elsewhere.example.com/")
		w.WriteHeader(status)
	}))
	defer server.Close()
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	c := config.Target{Webhook: server.URL + "/x", CAFile: ca, SecretFile: write(t, "secret", "hunter2\n")}
	if err := try(t, c); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("hunter2"))
	mac.Write([]byte(got))
	var m message
	if err := json.Unmarshal([]byte(got), &m); err != nil || !m.Test || m.Site != "Linz" || len(m.Events) != 1 || signature != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("%s signed %s, %v", got, signature, err)
	}
	for _, status = range []int{http.StatusFound, http.StatusForbidden, http.StatusBadGateway} {
		if err := try(t, c); err == nil || !strings.Contains(err.Error(), "2xx was expected") {
			t.Errorf("%d: %v", status, err)
		}
	}
	c.CAFile = ""
	if err := try(t, c); err == nil {
		t.Error("a server that nobody vouches for was told")
	}
}

// letter is what an SMTP server took.
type letter struct {
	from string
	to   []string
	text string
}

// postOffice is a real SMTP server (go-smtp) that takes letters from who signs in.
type postOffice struct{ letters chan letter }

func (p *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &visit{office: p, conn: c}, nil
}

type visit struct {
	office *postOffice
	conn   *smtp.Conn
	known  bool
	letter letter
}

func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if _, encrypted := v.conn.TLSConnectionState(); !encrypted || username != "understudy" || password != "hunter2" {
			return errors.New("who are you")
		}
		v.known = true
		return nil
	}), nil
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	if !v.known {
		return smtp.ErrAuthRequired
	}
	v.letter.from = from
	return nil
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.letter.to = append(v.letter.to, to)
	return nil
}

func (v *visit) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	v.letter.text = string(text)
	v.office.letters <- v.letter
	return err
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

// openOffice serves SMTP with STARTTLS until the test ends.
func openOffice(t *testing.T) (office *postOffice, address, ca string) {
	t.Helper()
	certificate, text := selfSigned(t)
	office = &postOffice{make(chan letter, 1)}
	server := smtp.NewServer(office)
	server.Domain, server.TLSConfig = "mail.example.com", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Errorf("%v", err)
		}
	})
	return office, l.Addr().String(), write(t, "ca.pem", text)
}

func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

func TestALetter(t *testing.T) {
	office, address, ca := openOffice(t)
	c := config.Target{Mail: address, From: "Understudy <understudy@example.com>", To: []string{"ops@example.com", "Ada <ada@example.com>"},
		Username: "understudy", PasswordFile: write(t, "password", "hunter2\n"), CAFile: ca}
	if err := try(t, c); err != nil {
		t.Fatal(err)
	}
	got := <-office.letters
	read, err := mail.ReadMessage(strings.NewReader(got.text))
	if err != nil {
		t.Fatal(err)
	}
	if got.from != "understudy@example.com" || strings.Join(got.to, " ") != "ops@example.com ada@example.com" ||
		read.Header.Get("Subject") != subject || read.Header.Get("Auto-Submitted") != "auto-generated" || !strings.Contains(got.text, "nothing has happened") {
		t.Errorf("from %s to %v:\n%s", got.from, got.to, got.text)
	}
	c.PasswordFile = write(t, "password", "wrong")
	if err := try(t, c); err == nil || !strings.Contains(err.Error(), "did not take the message") {
		t.Errorf("with a wrong password: %v", err)
	}
	c.PasswordFile, c.CAFile = write(t, "password", "hunter2"), ""
	if err := try(t, c); err == nil {
		t.Error("a server that nobody vouches for was given the password")
	}
}

// TestABroker publishes to mosquitto, and hears it as another program would.
func TestABroker(t *testing.T) {
	const mosquitto = "/usr/sbin/mosquitto"
	if _, err := os.Stat(mosquitto); err != nil {
		t.Fatal("mosquitto is needed: run scripts/install-test-tools.sh")
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	broker := exec.CommandContext(t.Context(), mosquitto, "-c", write(t, "mosquitto.conf", "listener "+port+" 127.0.0.1\nallow_anonymous true\n"))
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Process.Kill()
		_ = broker.Wait()
	})
	heard := make(chan string, 1)
	listener := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetConnectRetry(true).SetConnectRetryInterval(20 * time.Millisecond))
	for _, step := range []func() paho.Token{listener.Connect, func() paho.Token {
		return listener.Subscribe("site1/#", 1, func(_ paho.Client, m paho.Message) { heard <- m.Topic() + " " + string(m.Payload()) })
	}} {
		if done := step(); !done.WaitTimeout(30*time.Second) || done.Error() != nil {
			t.Fatalf("the broker is not there: %v", done.Error())
		}
	}
	t.Cleanup(func() { listener.Disconnect(100) })
	if err := try(t, config.Target{MQTT: "mqtt://" + address, Topic: "site1/understudy"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case got := <-heard:
		if !strings.HasPrefix(got, `site1/understudy {"site":"Linz","test":true,"severity":"info","events":[{`) {
			t.Errorf("heard %s", got)
		}
	case <-ctx.Done():
		t.Error("the message did not come")
	}
	if err := try(t, config.Target{MQTT: "mqtt://127.0.0.1:1", Topic: "x"}); err == nil || !strings.Contains(err.Error(), "did not take a message") {
		t.Errorf("of a broker that is not there: %v", err)
	}
}
