package site

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"understudy"
)

const killSignal = syscall.SIGKILL

// write writes the configuration of a server. JSON is YAML, too.
func (s *Site) write(name string, settings map[string]any) (string, error) {
	text, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInternal, "the configuration of %s could not be written as JSON: %w", name, err)
	}
	if err := os.MkdirAll(s.Folder(name), 0o700); err != nil {
		return "", understudy.Errorf(understudy.CodeUnavailable, "the folder of %s could not be made: %w", name, err)
	}
	file := filepath.Join(s.Folder(name), "config.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", understudy.Errorf(understudy.CodeUnavailable, "the configuration of %s could not be written: %w", name, err)
	}
	return file, nil
}

// rtspPort is where the test cameras listen, as cameras do.
const rtspPort = 8554

// The test cameras want credentials, as cameras do.
const (
	cameraUser     = "viewer"
	cameraPassword = "test-camera"
)

// startCameras starts one process with all test cameras, and configures every camera.
func (s *Site) startCameras(ctx context.Context, hosts *addresses) error {
	count := 0
	for _, c := range s.Layout.Cameras {
		if c.URL == "" {
			count++
		}
	}
	host := ""
	if count > 0 {
		s.options.Say(fmt.Sprintf("starting %d test cameras", count))
		at, ports, err := hosts.host(ctx, TestCameras, rtspPort)
		if err != nil {
			return err
		}
		host = join(at, ports[0])
		s.testCameras = host
		folder, err := os.MkdirTemp("", "understudy-cameras-") // the path of a socket must be short
		if err != nil {
			return understudy.Errorf(understudy.CodeUnavailable, "there is no room for the control of the test cameras: %w", err)
		}
		s.cameraControl = filepath.Join(folder, "socket")
		if _, err := s.start(TestCameras, "testcam", "--listen", host, "--control", s.cameraControl, "--cameras", fmt.Sprint(count),
			"--gop", s.options.GOP.String(), "--user", cameraUser, "--password", cameraPassword,
			fmt.Sprintf("--key-on-play=%v", s.options.KeyOnPlay)); err != nil {
			return err
		}
	}
	n := 0
	for i, c := range s.Layout.Cameras {
		password := s.Layout.Passwords[c.ID]
		if c.URL == "" {
			n++
			c.URL = fmt.Sprintf("rtsp://%s/cam%d", host, n)
			c.Username, password = cameraUser, cameraPassword
		}
		put, err := s.Client.PutCamera(ctx, c, &password)
		if err != nil {
			return err
		}
		s.Layout.Cameras[i] = put
	}
	return nil
}

// AddCameras adds cameras written as NAME=rtsp://[USER:PASSWORD@]HOST/PATH,
// spread over the homes.
func (l *Layout) AddCameras(texts []string, homes ...understudy.ServerID) error {
	if l.Passwords == nil {
		l.Passwords = map[understudy.CameraID]understudy.Secret{}
	}
	for i, text := range texts {
		name, address, ok := strings.Cut(text, "=")
		u, err := url.Parse(address)
		if !ok || err != nil {
			return understudy.Errorf(understudy.CodeInvalid, "a camera is written as NAME=rtsp://HOST/PATH, found %q", text)
		}
		c := understudy.Camera{ID: understudy.CameraID(name), Home: homes[i%len(homes)]}
		if u.User != nil {
			c.Username = u.User.Username()
			password, _ := u.User.Password()
			l.Passwords[c.ID] = understudy.Secret(password)
			u.User = nil
		}
		c.URL = u.String()
		if err := c.WithDefaults().Validate(); err != nil {
			return err
		}
		l.Cameras = append(l.Cameras, c)
	}
	return nil
}
