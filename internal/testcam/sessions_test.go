package testcam_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"understudy/internal/testcam"
)

func serve(t *testing.T, camera testcam.Camera) string {
	t.Helper()
	cameras, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{camera}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = cameras.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return cameras.URL(camera.Name)
}

// viewer plays a camera; cut ends its connection as a killed process would.
type viewer struct {
	*gortsplib.Client
	cut    func()
	packet chan struct{} // one for each packet
}

func play(t *testing.T, url string) (viewer, error) {
	t.Helper()
	return playAs(t, "", url)
}

// playAs plays a camera as a client of that name.
func playAs(t *testing.T, agent, url string) (viewer, error) {
	t.Helper()
	u, err := base.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	tcp := gortsplib.ProtocolTCP
	v := viewer{packet: make(chan struct{}, 1000)}
	v.Client = &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &tcp, UserAgent: agent,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			v.cut = func() { conn.Close() }
			return conn, err
		}}
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	session, _, err := v.Describe(u)
	if err != nil {
		return v, err
	}
	if err := v.SetupAll(session.BaseURL, session.Medias); err != nil {
		return v, err
	}
	v.OnPacketRTPAny(func(*description.Media, format.Format, *rtp.Packet) {
		select {
		case v.packet <- struct{}{}:
		default:
		}
	})
	_, err = v.Play(nil)
	return v, err
}

func TestALostSessionKeepsItsSlotUntilItExpires(t *testing.T) {
	t.Parallel()
	url := serve(t, testcam.Camera{Name: "lobby", MaxSessions: 1, SessionExpiry: 2 * time.Second})
	lost, err := play(t, url)
	if err != nil {
		t.Fatal(err)
	}
	<-lost.packet
	lost.cut()
	_ = lost.Wait()
	began := time.Now()
	refused := 0
	for {
		v, err := play(t, url)
		if err == nil {
			<-v.packet
			break
		}
		if !strings.Contains(err.Error(), "453") {
			t.Fatal(err)
		}
		refused++
	}
	if refused == 0 || time.Since(began) < time.Second {
		t.Errorf("the slot was free after %s and %d refusals", time.Since(began), refused)
	}
}

func TestASessionThatSaysGoodbyeFreesItsSlot(t *testing.T) {
	t.Parallel()
	url := serve(t, testcam.Camera{Name: "lobby", MaxSessions: 1, SessionExpiry: time.Hour})
	for range 3 {
		v, err := play(t, url)
		for err != nil && strings.Contains(err.Error(), "453") { // the goodbye is still on its way
			v, err = play(t, url)
		}
		if err != nil {
			t.Fatal(err)
		}
		<-v.packet
		v.Close()
	}
}
