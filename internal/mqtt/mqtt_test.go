package mqtt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"understudy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func TestAMessageIsAnEventOfItsCamera(t *testing.T) {
	for _, c := range []struct {
		topic    Topic
		on       string
		payload  string
		want     string // camera, name, at, until, data; empty: none
		id       string
		mistaken bool
	}{
		{topic: Topic{Filter: "doors/+/open", Camera: "{1}", Name: "door"}, on: "doors/lobby/open", payload: "", want: "lobby door 0s 0s "},
		{topic: Topic{Filter: "doors/+/open", Camera: "{1}", Name: "door"}, on: "doors/lobby/shut"},
		{topic: Topic{Filter: "doors/+/open", Camera: "{1}", Name: "door"}, on: "doors/lobby/open/wide"},
		{topic: Topic{Filter: "cams/+/+", Camera: "{1}", Name: "{2}", Payload: "ON"}, on: "cams/yard/motion", payload: "ON", want: `yard motion 0s 0s "ON"`},
		{topic: Topic{Filter: "cams/+/+", Camera: "{1}", Name: "{2}", Payload: "ON"}, on: "cams/yard/motion", payload: "OFF"},
		{topic: Topic{Filter: "a/#", Camera: "lobby"}, on: "a/b/c", payload: "7", want: "lobby a/b/c 0s 0s 7"},
		{topic: Topic{Filter: "a/#", Camera: "lobby", Name: "x {#}"}, on: "a", payload: "\xff", want: "lobby x  0s 0s "},
		{topic: Topic{Filter: "a", Camera: "lobby"}, on: "a", id: "7",
			payload: `{"id":"7","name":"forced","at":"2026-06-01T11:59:58Z","until":"2026-06-01T12:00:03Z","data":{"door":7}}`, want: `lobby forced -2s 5s {"door":7}`},
		{topic: Topic{Filter: "a", Camera: "lobby"}, on: "a", payload: `{"at":"2026-05-01T11:59:58Z"}`, mistaken: true},
		{topic: Topic{Filter: "+", Camera: "{1}"}, on: "No Camera", mistaken: true},
		{topic: Topic{Filter: "#", Camera: "lobby"}, on: "$SYS/uptime"},
	} {
		if err := c.topic.Validate(); err != nil {
			t.Errorf("%+v: %v", c.topic, err)
		}
		event, ok, err := c.topic.trigger(c.on, []byte(c.payload), noon)
		got := ""
		if ok && err == nil {
			got = fmt.Sprintf("%s %s %s %s %s", event.Camera, event.Name, event.At.Sub(noon), event.Until.Sub(event.At), event.Data)
		}
		if got != c.want || (err != nil) != c.mistaken || c.id != "" && event.ID != c.id {
			t.Errorf("%q on %s makes %q, %v (%+v), want %q", c.payload, c.on, got, err, event, c.want)
		}
	}
}

func TestAMistakenTopicIsRefused(t *testing.T) {
	for _, topic := range []Topic{{}, {Filter: "a"}, {Filter: "a/b+", Camera: "x"}, {Filter: "#/a", Camera: "x"}, {Filter: "a/+", Camera: "{2}"}, {Filter: "a/+", Camera: "{1}", Name: "{#}"}} {
		if err := topic.Validate(); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%+v: %v", topic, err)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add("cams/+/#", "{1}", "{#}", "cams/lobby/a/b", []byte(`{"id":"1","at":"2026-06-01T11:59:58Z"}`))
	f.Add("a", "lobby", "", "a", []byte("\xff"))
	f.Fuzz(func(t *testing.T, filter, camera, name, topic string, payload []byte) {
		on := Topic{Filter: filter, Camera: camera, Name: name}
		if on.Validate() != nil {
			return
		}
		event, ok, err := on.trigger(topic, payload, noon)
		if !ok || err != nil {
			return
		}
		if err := event.Note("rec").Validate(); err != nil {
			t.Errorf("%q on %q makes a bad event: %v", payload, topic, err)
		}
	})
}

// broker is mosquitto on a free port.
type broker struct {
	t       *testing.T
	address string
	config  string
	stop    func()
}

func newBroker(t *testing.T, settings string) *broker {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, address: l.Addr().String(), config: filepath.Join(t.TempDir(), "mosquitto.conf")}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(b.address)
	text := "persistence false\nlistener " + port + " 127.0.0.1\n" + settings
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *broker) start() {
	b.t.Helper()
	path, err := exec.LookPath("/usr/sbin/mosquitto")
	if err != nil {
		b.t.Skip("mosquitto is not installed")
	}
	command := exec.Command(path, "-c", b.config)
	if err := command.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.stop = func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
	b.t.Cleanup(func() { b.stop() })
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := new(net.Dialer).DialContext(b.t.Context(), "tcp", b.address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal("mosquitto does not start")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// publish sends a message as somebody else would.
func (b *broker) publish(topic, payload string, retained bool) error {
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.address).SetUsername("panel").SetPassword("secret"))
	if t := client.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	defer client.Disconnect(100)
	t := client.Publish(topic, 1, retained, payload)
	t.Wait()
	return t.Error()
}

func subscribe(t *testing.T, c Config) <-chan understudy.Trigger {
	t.Helper()
	told := make(chan understudy.Trigger, 100)
	s, err := New(c, func(event understudy.Trigger) error { told <- event; return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	return told
}

// hear publishes until the event comes: a subscription takes a moment to be there.
func (b *broker) hear(told <-chan understudy.Trigger, topic, id string) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if err := b.publish(topic, fmt.Sprintf(`{"id":%q}`, id), false); err != nil {
			b.t.Fatal(err)
		}
		select {
		case event := <-told:
			if event.ID == id {
				return
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
	b.t.Fatalf("event %s was not heard in 30 s", id)
}

func TestEventsComeFromARealBroker(t *testing.T) {
	passwords := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(passwords, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mosquitto_passwd", "-b", passwords, "panel", "secret").CombinedOutput(); err != nil {
		t.Skipf("mosquitto is not installed: %v %s", err, out)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBroker(t, "allow_anonymous false\nuser root\npassword_file "+passwords+"\n")
	b.start()
	if err := b.publish("doors/lobby/open", "{}", true); err != nil { // what was is no event
		t.Fatal(err)
	}
	told := subscribe(t, Config{URL: "mqtt://" + b.address, ClientID: "rec-1", Username: "panel", PasswordFile: secret,
		Topics: []Topic{{Filter: "doors/+/open", Camera: "{1}", Name: "door"}}})
	b.hear(told, "doors/lobby/open", "one")
	b.stop()
	b.start() // the broker was away
	b.hear(told, "doors/lobby/open", "two")
	for len(told) > 0 {
		if event := <-told; event.ID != "one" && event.ID != "two" {
			t.Errorf("a retained message made event %+v", event)
		}
	}
}

func TestABrokerWithTLSMustBeKnown(t *testing.T) {
	dir := t.TempDir()
	certify(t, dir)
	b := newBroker(t, fmt.Sprintf("allow_anonymous true\nuser root\ncertfile %s/cert.pem\nkeyfile %s/key.pem\n", dir, dir))
	b.start()
	topics := []Topic{{Filter: "a", Camera: "lobby"}}
	s, err := New(Config{URL: "mqtts://" + b.address, ClientID: "rec-1", Topics: topics}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if connected, err := s.session(t.Context()); connected || err == nil {
		t.Errorf("a broker of unknown origin: %t, %v", connected, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	known, err := New(Config{URL: "mqtts://" + b.address, ClientID: "rec-1", CAFile: dir + "/cert.pem", Topics: topics}, nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, cancel)
	if connected, err := known.session(ctx); !connected || !errors.Is(err, context.Canceled) {
		t.Errorf("a broker that is known: %t, %v", connected, err)
	}
}

func certify(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
