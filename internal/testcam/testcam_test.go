package testcam

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
)

// payload joins NAL units as a sample has them.
func payload(nalus ...[]byte) (b []byte) {
	for _, nalu := range nalus {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(nalu))), nalu...)
	}
	return b
}

func TestAStampIsFoundAgain(t *testing.T) {
	at := time.Unix(1767366245, 123456789)
	for _, codec := range []understudy.Codec{understudy.CodecH264, understudy.CodecH265} {
		want := Stamp{Camera: "lobby", Frame: 1 << 40, At: at}
		stamp := want.nalu((&clip{codec: codec}).seiHeader())
		got, ok := ParseStamp(payload([]byte{0x67, 1}, []byte{0x06, 0x05, 0x01, 0xff, 0x80}, stamp, []byte{0x65, 2}))
		if !ok || got.Camera != want.Camera || got.Frame != want.Frame || !got.At.Equal(at) {
			t.Errorf("%s: %+v, %v", codec, got, ok)
		}
		for i := range stamp {
			if i >= 2 && stamp[i] == 0 {
				t.Errorf("%s: a zero byte would need emulation prevention", codec)
			}
		}
	}
	if _, ok := ParseStamp(payload([]byte{0x65, 1, 2, 3})); ok {
		t.Error("a stamp was found where there is none")
	}
}

func FuzzParseStamp(f *testing.F) {
	f.Add(payload(Stamp{Camera: "a", Frame: 1, At: time.Unix(1, 1)}.nalu([]byte{seiH264})))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := ParseStamp(b); ok && strings.Contains(s.Camera, " ") {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheEmbeddedClipIsSmallAndWhole(t *testing.T) {
	c, err := loadClip("")
	if err != nil {
		t.Fatal(err)
	}
	if len(embedded) > 3<<20 || len(c.units) != 300 || c.gop != 2*time.Second || c.length != 30*time.Second {
		t.Errorf("%d bytes, %d frames, GOP %s, %s", len(embedded), len(c.units), c.gop, c.length)
	}
}

func TestFramesFollowTheClockThroughTheLoop(t *testing.T) {
	c, err := loadClip("")
	if err != nil {
		t.Fatal(err)
	}
	cam := newCamera(Camera{Name: "lobby", GOP: 500 * time.Millisecond}, c)
	before, _ := cam.position(0)
	for frame := range uint64(1000) {
		index, elapsed := cam.position(frame)
		if frame > 0 && index != (before+1)%len(c.units) {
			t.Fatalf("frame %d is unit %d, after unit %d", frame, index, before)
		}
		if want := time.Duration(frame) * 25 * time.Millisecond; (elapsed - want).Abs() > time.Microsecond {
			t.Fatalf("frame %d is due after %s, expected %s", frame, elapsed, want)
		}
		before = index
	}
}

func TestAKeyFrameOnRequestComesAtItsTime(t *testing.T) {
	c, err := loadClip("")
	if err != nil {
		t.Fatal(err)
	}
	cam := newCamera(Camera{Name: "lobby", GOP: 500 * time.Millisecond}, c)
	for frame := range uint64(1000) {
		if frame%37 == 0 {
			cam.skipToKey(frame)
		}
		index, elapsed := cam.position(frame)
		if frame%37 == 0 && !c.units[index].key {
			t.Fatalf("frame %d is unit %d, which is no key frame", frame, index)
		}
		if want := time.Duration(frame) * 25 * time.Millisecond; (elapsed - want).Abs() > time.Microsecond {
			t.Fatalf("frame %d is due after %s, expected %s", frame, elapsed, want)
		}
	}
}

func TestCamerasHaveTheirOwnPhase(t *testing.T) {
	c, err := loadClip("")
	if err != nil {
		t.Fatal(err)
	}
	phases := map[int]bool{}
	for _, name := range []string{"lobby", "gate", "yard", "dock"} {
		phases[newCamera(Camera{Name: name}, c).first%20] = true
	}
	if len(phases) < 3 {
		t.Errorf("4 cameras have %d phases of the GOP", len(phases))
	}
}

func TestABadConfigurationIsOneSentence(t *testing.T) {
	text := filepath.Join(t.TempDir(), "notes.mp4")
	if err := os.WriteFile(text, []byte("these are notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := New(Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.listener.Close()
	for name, c := range map[string]Config{
		"no name":      {Listen: "127.0.0.1:0", Cameras: []Camera{{}}},
		"slash":        {Listen: "127.0.0.1:0", Cameras: []Camera{{Name: "a/b"}}},
		"twice":        {Listen: "127.0.0.1:0", Cameras: []Camera{{Name: "a"}, {Name: "a"}}},
		"no file":      {Listen: "127.0.0.1:0", Cameras: []Camera{{Name: "a", File: text + "x"}}},
		"no MP4":       {Listen: "127.0.0.1:0", Cameras: []Camera{{Name: "a", File: text}}},
		"port in use":  {Listen: taken.Address(), Cameras: []Camera{{Name: "a"}}},
		"no such host": {Listen: "no-such-host.invalid:1"},
	} {
		_, err := New(c)
		if err == nil || understudy.CodeOf(err) == understudy.CodeInternal || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
