package testcam_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"understudy/internal/testcam"
)

// One client is turned away by one of two cameras: its session there ends, it
// gets no other, and nothing changes for anybody else.
func TestACameraTurnsOneClientAway(t *testing.T) {
	t.Parallel()
	cameras, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{{Name: "lobby"}, {Name: "yard"}}})
	if err != nil {
		t.Fatal(err)
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { _ = cameras.Run(ctx); done <- struct{}{} }()
	go func() { _ = cameras.Control(ctx, control); done <- struct{}{} }()
	t.Cleanup(func() { cancel(); <-done; <-done })
	put := func(body string) int {
		request, err := http.NewRequest(http.MethodPut, "http://"+control.Addr().String()+"/refusal", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	as := func(agent, camera string) (viewer, error) { return playAs(t, agent, cameras.URL(camera)) }
	must := func(v viewer, err error) viewer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		<-v.packet
		return v
	}
	turned, elsewhere, other := must(as("understudy/rec1", "lobby")), must(as("understudy/rec1", "yard")), must(as("understudy/fo1", "lobby"))

	if code := put(`{"agent": "understudy/rec1", "cameras": ["lobby"]}`); code != http.StatusOK {
		t.Fatal(code)
	}
	if err := turned.Wait(); err == nil {
		t.Error("the session went on")
	}
	if _, err := as("understudy/rec1", "lobby"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("played again: %v", err)
	}
	for _, v := range []viewer{elsewhere, other} {
		for len(v.packet) > 0 { // from before
			<-v.packet
		}
		<-v.packet
	}
	if code := put(`{"agent": "understudy/rec1"}`); code != http.StatusOK {
		t.Fatal(code)
	}
	must(as("understudy/rec1", "lobby"))
	for _, wrong := range []string{`{"agent": "understudy/rec1", "cameras": ["attic"]}`, `{"cameras": ["lobby"]}`, `[]`} {
		if code := put(wrong); code != http.StatusBadRequest {
			t.Errorf("%s was answered %d", wrong, code)
		}
	}
}
