package site_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
	"understudy/internal/testcam"
)

// Secrets that nobody else has are planted, a site does all that it does, a takeover
// included, and then nothing of it holds one of them: no file, log, event, answer of the
// API, of the service channel or of a media port, process or packet. What is no secret is found in those same places, or
// nothing would be proven. The one exception is the setup code, which is no secret any more once it has made the
// first administrator: it is printed into the log on purpose, is good once, and is not planted here.
func TestNoSecretIsAnywhere(t *testing.T) {
	planted := map[string]string{}
	plant := func(what string) string {
		planted[what] = "S3" + rand.Text()
		return planted[what]
	}
	openly := "known" + rand.Text()[:8] // a user's name, and a camera's
	camera := plant("a camera's password")
	layout := site.Layout{
		Recording: []understudy.RecordingServer{{ID: "rec1", HotStandby: "fo1"}},
		Failover:  []understudy.FailoverServer{{ID: "fo1"}},
	}
	var texts []string
	for _, name := range []string{"north", "south"} {
		texts = append(texts, fmt.Sprintf("%s=rtsp://%s:%s@%s", name, openly, camera, strings.TrimPrefix(realCamera(t, name, openly, camera), "rtsp://")))
	}
	if err := layout.AddCameras(texts, "rec1"); err != nil {
		t.Fatal(err)
	}
	packets := capture(t)
	s := upWith(t, false, layout)
	planted["the administrator's password"] = string(s.Password)
	password := understudy.Secret(plant("an operator's password"))
	operator := understudy.User{Name: openly, Role: understudy.RoleOperator, Cameras: []understudy.CameraID{understudy.AllCameras}}
	if _, err := s.Client.PutUser(t.Context(), operator, &password); err != nil {
		t.Fatal(err)
	}
	administrator := signIn(t, s, s.User, string(s.Password))
	planted["the administrator's session"] = administrator
	planted["the operator's session"] = signIn(t, s, openly, string(password))
	if _, err := request(t, s, "POST", "/api/v1/sign-in", "", fmt.Sprintf(`{"name":%q,"password":%q}`, openly, plant("a wrong password"))); err != nil {
		t.Fatal(err)
	}
	plantSecondFactor(t, s, planted, planted["the operator's session"], string(password))
	shown := mediaToken(t, s, administrator)
	planted["a media token"] = shown
	token, err := s.Client.CreateJoinToken(t.Context(), understudy.RoleRecording, "rec9", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	planted["a join token"] = string(token)
	planted[sealKey] = sealKeyOf(t, s)
	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "fo1 to record both cameras", func(ctx context.Context) bool {
		return recorded(ctx, s, "fo1", "north") > time.Second && recorded(ctx, s, "fo1", "south") > time.Second
	})
	if err := s.Client.RotateSecrets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Do(site.CureStart, "rec1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "rec1 to record again", func(ctx context.Context) bool {
		now, err := s.Client.Site(ctx)
		return err == nil && !slices.ContainsFunc(now.Leases, func(l *understudy.Lease) bool { return l.Holder != "rec1" })
	})

	places := map[string][]byte{"the packets": packets(), "answers of the API": answers(t, s, administrator), "the processes": processes(t, s),
		"the service channel": channelAnswer(t, s, administrator), "a media port": mediaAnswers(t, s, shown)}
	files(t, filepath.Dir(s.Folder("rec1")), places)
	known := false // in the database, or in what will be written to it
	for place, content := range places {
		for what, secret := range planted {
			for _, form := range forms(secret) {
				if bytes.Contains(content, []byte(form)) && (what != sealKey || !strings.HasPrefix(place, "authority.json ")) {
					t.Errorf("%s is in %s", what, place)
				}
			}
		}
		known = known || strings.HasPrefix(place, "site.db") && bytes.Contains(content, []byte(openly))
	}
	for place, open := range map[string]string{"the packets": openly, "answers of the API": openly, "the service channel": openly, "a media port": "#EXTM3U"} {
		known = known && bytes.Contains(places[place], []byte(open))
	}
	if !known {
		t.Error("what is no secret is not found in the database, the packets and the answers: this proves nothing")
	}
}

// sealKey is what secrets are sealed under that lie in the database, which has it, sealed; openly it
// is in the authority's file only.
const sealKey = "the key of secrets"

func sealKeyOf(t *testing.T, s *site.Site) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Folder(site.Management), "authority", "authority.json"))
	var file struct {
		SealKey []byte `json:"seal_key"`
	}
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil || len(file.SealKey) == 0 {
		t.Fatalf("the authority's file has no key: %v", err)
	}
	return string(file.SealKey)
}

// realCamera is a camera that wants a password, in this process: no argument tells it.
func realCamera(t *testing.T, name, user, password string) (url string) {
	t.Helper()
	c, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{{Name: name, Username: user, Password: password, GOP: time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return c.URL(name)
}

// capture takes all packets on loopback, until what it returns is called.
func capture(t *testing.T) (packets func() []byte) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("packets are captured by root only")
	}
	file := filepath.Join(t.TempDir(), "packets")
	command := exec.Command("tcpdump", "-i", "lo", "-s", "0", "-U", "-w", file)
	if err := command.Start(); err != nil {
		t.Fatalf("tcpdump is needed (scripts/install-test-tools.sh installs it): %v", err)
	}
	stop := func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait() // how it ends does not matter, what it wrote does
	}
	t.Cleanup(stop)
	eventually(t, "tcpdump to begin", func(context.Context) bool {
		_, err := os.Stat(file)
		return err == nil
	})
	return func() []byte {
		stop()
		content, err := os.ReadFile(file)
		if err != nil || len(content) < 1<<20 {
			t.Fatalf("%d bytes of packets were captured: %v", len(content), err)
		}
		return content
	}
}

// request returns the body of what is answered.
func request(t *testing.T, s *site.Site, method, path, session, body string) ([]byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if session != "" {
		r.Header.Set("Authorization", "Bearer "+session)
	}
	response, err := s.Client.HTTP("").Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

func signIn(t *testing.T, s *site.Site, name, password string) (session string) {
	t.Helper()
	body, err := request(t, s, "POST", "/api/v1/sign-in", "", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password))
	var answer struct {
		Token string `json:"token"`
	}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || answer.Token == "" {
		t.Fatalf("signing in was answered %s, %v", body, err)
	}
	return answer.Token
}

// plantSecondFactor begins a second factor of a user; its secret is planted as it is told and as it is kept.
func plantSecondFactor(t *testing.T, s *site.Site, planted map[string]string, session, password string) {
	t.Helper()
	body, err := request(t, s, "POST", "/api/v1/second-factor", session, fmt.Sprintf(`{"password":%q}`, password))
	var told struct {
		Secret string `json:"secret"`
	}
	if err == nil {
		err = json.Unmarshal(body, &told)
	}
	if err != nil || told.Secret == "" {
		t.Fatalf("beginning a second factor was answered %s, %v", body, err)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(told.Secret)
	if err != nil {
		t.Fatal(err)
	}
	planted["the secret of a second factor"], planted["the secret of a second factor, as bytes"] = told.Secret, string(raw)
}

func mediaToken(t *testing.T, s *site.Site, session string) string {
	t.Helper()
	body, err := request(t, s, "POST", "/api/v1/media-tokens", session, "{}")
	var told struct {
		Token string `json:"token"`
	}
	if err == nil {
		err = json.Unmarshal(body, &told)
	}
	if err != nil || told.Token == "" {
		t.Fatalf("asking for a media token was answered %s, %v", body, err)
	}
	return told.Token
}

// channelAnswer is what the service channel says at first: the site, and what was last seen of each server.
func channelAnswer(t *testing.T, s *site.Site, session string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/channel", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+session)
	response, err := s.Client.HTTP("").Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var all []byte
	for part := make([]byte, 64<<10); !bytes.Contains(all, []byte("event: status")); {
		n, err := response.Body.Read(part)
		all = append(all, part[:n]...)
		if err != nil {
			t.Fatalf("the service channel ended with %v after %q", err, all)
		}
	}
	return all
}

// mediaAnswers are the headers and the text that a media port answers to a media token in an address, as players show it.
func mediaAnswers(t *testing.T, s *site.Site, token string) []byte {
	t.Helper()
	var all []byte
	for _, path := range []string{"/v1/cameras/north/hls/live.m3u8", "/v1/cameras/nothing/hls/live.m3u8"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Layout.Recording[0].Addresses.Media+path+"?token="+token, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := s.Client.HTTP("").Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		all = append(fmt.Appendf(all, "%v", response.Header), body...)
	}
	return all
}

// answers are the bodies of all that can be read, to the one who may read everything.
func answers(t *testing.T, s *site.Site, session string) []byte {
	t.Helper()
	var all []byte
	read := 0
	for _, r := range managementRoutes(t, s) {
		if r[0] != http.MethodGet || strings.HasPrefix(r[1], "/relay") || strings.HasSuffix(r[1], "/channel") {
			continue
		}
		body, err := request(t, s, r[0], r[1], session, "")
		if err != nil {
			t.Fatal(err)
		}
		read++
		all = append(all, body...)
	}
	if read < 15 {
		t.Errorf("%d routes were read; that cannot be all", read)
	}
	return all
}

// processes are the arguments and the environment of every process of the site.
func processes(t *testing.T, s *site.Site) []byte {
	t.Helper()
	var all []byte
	for _, name := range []string{site.Management, "rec1", "fo1"} {
		p, _ := s.Process(name)
		for _, what := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID()), what))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
	}
	return all
}

// files adds every file of the site by its name and path, save those that exist to hand a
// secret over.
func files(t *testing.T, root string, places map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "join-token" || entry.Name() == "setup-code" {
			return err
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) { // it was a temporary one
			return nil
		}
		places[entry.Name()+" ("+path+")"] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// forms are how a secret may be written.
func forms(secret string) []string {
	all := []string{secret, hex.EncodeToString([]byte(secret))}
	for shift := range 3 { // wherever it begins in what is encoded
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		all = append(all, encoded[4:len(encoded)-4])
	}
	return all
}
