package fmp4test

import (
	"encoding/json"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// Packet is one packet as ffprobe tells it.
type Packet struct {
	Decode   time.Duration
	Duration time.Duration // 0 where ffprobe tells none
	Key      bool
	Size     int
}

// Probe reads a file with ffprobe and returns its packets by stream. The test
// fails if ffprobe says anything, or decode times do not strictly increase.
func Probe(t testing.TB, name string) [2][]Packet {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "warning", "-show_packets", "-of", "json", name)
	out := run(t, cmd)
	var probe struct {
		Packets []struct {
			Stream   int    `json:"stream_index"`
			Decode   string `json:"dts_time"`
			Duration string `json:"duration_time"`
			Flags    string `json:"flags"`
			Size     string `json:"size"`
		} `json:"packets"`
	}
	if err := json.Unmarshal(out, &probe); err != nil {
		t.Fatal(err)
	}
	var packets [2][]Packet
	for _, p := range probe.Packets {
		list := &packets[p.Stream]
		size, _ := strconv.Atoi(p.Size)
		packet := Packet{Decode: seconds(t, p.Decode), Duration: seconds(t, p.Duration), Key: p.Flags[0] == 'K', Size: size}
		if n := len(*list); n > 0 && packet.Decode <= (*list)[n-1].Decode {
			t.Fatalf("%s: packet %d of stream %d has decode time %v after %v", name, n, p.Stream, packet.Decode, (*list)[n-1].Decode)
		}
		*list = append(*list, packet)
	}
	return packets
}

// Decode decodes a file with ffmpeg. The test fails if ffmpeg says anything.
func Decode(t testing.TB, name string) {
	t.Helper()
	run(t, exec.CommandContext(t.Context(), "ffmpeg", "-v", "warning", "-guess_layout_max", "0", "-i", name, "-f", "null", "-"))
}

func run(t testing.TB, cmd *exec.Cmd) []byte {
	t.Helper()
	var said, out buffer
	cmd.Stderr, cmd.Stdout = &said, &out
	if err := cmd.Run(); err != nil || len(said) > 0 {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, said)
	}
	return out
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func seconds(t testing.TB, s string) time.Duration {
	t.Helper()
	if s == "" {
		return 0
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatalf("ffprobe tells a time as %q", s)
	}
	return time.Duration(f * float64(time.Second))
}
