package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/testcam"
)

// codecCamera is a camera of the matrix: what it sends, and what a program
// should find of it.
type codecCamera struct {
	testcam.Camera
	video, audio string // as ffprobe calls them; no audio is ""
}

// codecCameras makes clips of each video codec with each audio codec.
func codecCameras(t *testing.T) []codecCamera {
	t.Helper()
	dir := t.TempDir()
	arguments := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-f", "lavfi", "-i", "sine=frequency=400:sample_rate=48000"}
	var all []codecCamera
	for _, video := range []struct {
		name   string
		coding []string
	}{
		{"h264", []string{"-c:v", "libx264", "-g", "10", "-bf", "2", "-preset", "veryfast", "-pix_fmt", "yuv420p"}},
		{"hevc", []string{"-c:v", "libx265", "-x265-params", "log-level=error:keyint=10:bframes=0", "-preset", "ultrafast", "-tag:v", "hvc1", "-pix_fmt", "yuv420p"}},
		{"mjpeg", []string{"-c:v", "mjpeg", "-huffman", "default", "-q:v", "5", "-pix_fmt", "yuvj420p"}},
	} {
		for _, audio := range []struct {
			name   string
			coding []string
		}{{"", []string{"-an"}}, {"aac", []string{"-map", "1:a", "-c:a", "aac", "-ac", "2"}}, {"opus", []string{"-map", "1:a", "-c:a", "libopus"}}} {
			file := filepath.Join(dir, video.name+"-"+audio.name+".mp4")
			arguments = append(arguments, "-map", "0:v")
			arguments = append(arguments, video.coding...)
			arguments = append(arguments, audio.coding...)
			arguments = append(arguments, "-t", "6", file)
			all = append(all, codecCamera{testcam.Camera{Name: video.name + "-" + audio.name + "x", File: file}, video.name, audio.name})
			if audio.name == "" {
				all = append(all, codecCamera{testcam.Camera{Name: video.name + "-g711", File: file, Tone: testcam.MuLaw}, video.name, "pcm_s16be"})
			}
		}
	}
	program(t, "ffmpeg", arguments...)
	return all
}

// program runs one; it must succeed and say nothing of errors.
func program(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil || said.Len() > 0 {
		t.Errorf("%s %s: %v\n%.1000s", name, strings.Join(arguments, " "), err, &said)
	}
	return out.String()
}

// Each codec of pictures with each of sound, from the camera's RTSP to the disk
// and out of it on every way: no program finds anything wrong with it.
func TestEachCodecIsWholeOnEveryWayOut(t *testing.T) {
	t.Parallel()
	all := codecCameras(t)
	config := testcam.Config{Listen: "127.0.0.1:0"}
	for _, c := range all {
		config.Cameras = append(config.Cameras, c.Camera)
	}
	sources, err := testcam.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = sources.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	site := newInstallation(t)
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	a := understudy.Assignment{Server: "rec-1", Seq: 1}
	for _, c := range all {
		a.Cameras = append(a.Cameras, understudy.AssignedCamera{
			Camera: understudy.Camera{ID: understudy.CameraID(c.Name), Home: "rec-1", URL: sources.URL(c.Name)}.WithDefaults(), Epoch: 1, Record: true})
	}
	r.Apply(a)
	at := time.Now().Add(-time.Hour)
	// Four seconds, of one segment: the one that is long enough.
	span := func(c codecCamera) (from, to time.Time, in understudy.Segment) {
		segments, err := r.store.Segments(t.Context(), understudy.CameraID(c.Name), at, at.Add(2*time.Hour), false)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range segments {
			if s.End.Sub(s.Start) > 4*time.Second {
				return s.Start, s.Start.Add(4 * time.Second), s
			}
		}
		return from, to, in
	}
	for _, c := range all {
		until(t, "4 s of "+c.Name+" are durable", func() bool { from, to, _ := span(c); return to.After(from) })
	}
	token := site.token(understudy.AllCameras)
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			from, to, segment := span(c)
			w := waysOut{t: t, base: "http://" + r.addresses.Media + "/v1/", token: token, dir: t.TempDir()}
			w.check(c, from, to, segment)
		})
	}
}

// waysOut fetches what a server shows of a camera.
type waysOut struct {
	t     *testing.T
	base  string
	token string
	dir   string
}

func (w waysOut) address(path string, from, to time.Time) string {
	query := url.Values{"token": {w.token}, "from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	return w.base + path + join + query.Encode()
}

// get fetches address into a file.
func (w waysOut) get(name, address string) string {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s %v %.300s", name, response.Status, err, body)
	}
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, body, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

func (w waysOut) check(c codecCamera, from, to time.Time, segment understudy.Segment) {
	camera := "cameras/" + c.Name + "/"
	still := "still.mp4"
	if c.video == "mjpeg" {
		still = "still.jpg"
	}
	hls := []string{"-allowed_extensions", "ALL", "-i", w.address(camera+"hls/index.m3u8", from, to)}
	inputs := map[string][]string{
		"segment": {"-i", w.get("segment.mp4", w.base+"segments/"+segment.ID.String()+".mp4?token="+w.token)},
		"media":   {"-i", w.get("media.mp4", w.address(camera+"media.mp4", from, to))},
		"fmp4":    {"-i", w.get("fmp4.mp4", w.address(camera+"export.mp4?format=fmp4", from, to))},
		"mp4":     {"-i", w.get("mp4.mp4", w.address(camera+"export.mp4?format=mp4", from, to))},
		"still":   {"-i", w.get(still, w.base+camera+"still?token="+w.token+"&at="+url.QueryEscape(to.UTC().Format(time.RFC3339Nano)))},
		"HLS":     hls,
	}
	decode := []string{"-v", "error", "-xerror"}
	var maps []string
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range inputs {
			if !yield(name) {
				return
			}
		}
	})
	for i, name := range names {
		w.probe(name, inputs[name], c)
		decode = append(decode, inputs[name]...)
		which := string(rune('0' + i))
		if name == "segment" {
			// Sound that was captured just before the segment's first picture is put
			// at its beginning, where a decoder of Opus finds too little time for it.
			which += ":v"
		}
		maps = append(maps, "-map", which)
	}
	for _, live := range []string{"live.mp4?audio=1&", "hls/master.m3u8?"} {
		if !slices.Contains([]string{"h264-aacx", "h264-g711", "hevc-opusx", "mjpeg-x"}, c.Name) {
			break // each codec once: live takes its time
		}
		program(w.t, "ffmpeg", "-v", "error", "-i", w.base+camera+live+"token="+w.token, "-t", "1", "-f", "null", "-")
	}
	// In the times of the files: rounded to frames, those of a camera that found
	// its clock a moment ago would fall together.
	program(w.t, "ffmpeg", slices.Concat(decode, maps, []string{"-fps_mode", "passthrough", "-enc_time_base:v", "1/90000", "-f", "null", "-"})...)
}

// probe lists the streams with ffprobe, which must have nothing to say, and
// whose times must grow.
func (w waysOut) probe(name string, input []string, c codecCamera) {
	w.t.Helper()
	out := program(w.t, "ffprobe", slices.Concat([]string{"-v", "error"}, input, []string{"-show_entries", "stream=codec_name:packet=stream_index,dts_time", "-of", "json"})...)
	var found struct {
		Streams []struct {
			Codec string `json:"codec_name"`
		}
		Packets []struct {
			Stream int         `json:"stream_index"`
			DTS    json.Number `json:"dts_time"`
		}
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		w.t.Fatalf("%s: %v: %.300s", name, err, out)
	}
	var codecs []string
	for _, s := range found.Streams {
		codecs = append(codecs, s.Codec)
	}
	want := []string{c.video}
	if c.audio != "" && name != "still" {
		want = append(want, c.audio)
	}
	if !slices.Equal(codecs, want) {
		w.t.Errorf("%s holds %v, want %v", name, codecs, want)
	}
	last, count := map[int]float64{}, map[int]int{}
	for _, p := range found.Packets {
		at, err := p.DTS.Float64()
		if before, ok := last[p.Stream]; err == nil && ok && at <= before {
			w.t.Fatalf("%s: in stream %d, %v s follows %v s", name, p.Stream, at, before)
		}
		last[p.Stream] = at
		count[p.Stream]++
	}
	if name != "still" && (count[0] < 30 || c.audio != "" && count[1] < 60) {
		w.t.Errorf("%s has %d pictures and %d sounds", name, count[0], count[1])
	}
}
