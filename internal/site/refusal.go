package site

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"understudy"
	"understudy/internal/testcam"
)

// Half returns the first half of the test cameras whose home is that server,
// rounded up: those that FaultCameras takes from it.
func (s *Site) Half(home understudy.ServerID) []understudy.CameraID {
	var all []understudy.CameraID
	for _, c := range s.Layout.Cameras {
		if c.Home == home && s.testCamera(c) != "" {
			all = append(all, c.ID)
		}
	}
	return all[:(len(all)+1)/2]
}

// testCamera returns the name of a camera among the test cameras; empty if it is none.
func (s *Site) testCamera(c understudy.Camera) string {
	name, _ := strings.CutPrefix(c.URL, "rtsp://"+s.testCameras+"/")
	if s.testCameras == "" || name == c.URL {
		return ""
	}
	return name
}

// refuse lets some test cameras, and no others, turn a server away.
func (s *Site) refuse(server understudy.ServerID, cameras []understudy.CameraID) error {
	if s.testCameras == "" {
		return understudy.Errorf(understudy.CodeInvalid, "this site has no test cameras that could turn %s away", server)
	}
	refusal := testcam.Refusal{Agent: "understudy/" + string(server)}
	for _, c := range s.Layout.Cameras {
		if slices.Contains(cameras, c.ID) {
			refusal.Cameras = append(refusal.Cameras, s.testCamera(c))
		}
	}
	text, err := json.Marshal(refusal)
	if err != nil {
		return understudy.Errorf(understudy.CodeInternal, "the refusal could not be written as JSON: %w", err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.cameraControl)
	}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), controlIdle)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://cameras/refusal", bytes.NewReader(text))
	if err != nil {
		return understudy.Errorf(understudy.CodeInternal, "the test cameras could not be asked: %w", err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the test cameras do not answer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(response.Body, 1000)) // of an error that is told anyway
		return understudy.Errorf(understudy.CodeInvalid, "the test cameras refuse: %s", strings.TrimSpace(string(why)))
	}
	return nil
}
