package recording

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/stream"
)

// codedHash is the definition of SampleHash for H.264, by itself.
func codedHash(payload []byte) understudy.SampleHash {
	sum := xxh3.New128()
	for len(payload) >= 4 {
		size := int(binary.BigEndian.Uint32(payload)) + 4
		if kind := payload[4] & 0x1f; kind != 7 && kind != 8 && kind != 9 {
			_, _ = sum.Write(payload[:size])
		}
		payload = payload[size:]
	}
	return sum.Sum128().Bytes()
}

// Memory of payloads is used again while viewers come and go and keep what they
// read: neither they nor the recordings may ever have other bytes than those
// that were hashed on arrival.
func TestPayloadsThatAreUsedAgainAreNobodysElse(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby", "gate")
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	kept := map[understudy.SampleHash][]byte{}
	for range 5 { // viewers that begin in the middle of a GOP, each for some frames
		for _, id := range []understudy.CameraID{"lobby", "gate"} {
			hub := hubOf(ctx, t, r.Server, id)
			reader := hub.Subscribe(8 << 20)
			for range 25 {
				item, err := reader.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if item.Sample != nil {
					kept[item.Sample.Hash] = item.Sample.Payload
				}
			}
			reader.Close()
		}
	}
	r.stop()
	for hash, payload := range kept {
		if codedHash(payload) != hash {
			t.Fatal("a viewer's sample has other bytes than its hash says")
		}
	}
	for _, a := range a.Cameras {
		if n := checkHashes(t, r, a.Camera.ID); n < 20 {
			t.Errorf("only %d samples of camera %s were recorded", n, a.Camera.ID)
		}
	}
}

func hubOf(ctx context.Context, t *testing.T, s *Server, id understudy.CameraID) *stream.Hub {
	t.Helper()
	c, ok := s.find(id)
	for ; !ok; c, ok = s.find(id) {
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
	}
	return c.hub
}

// checkHashes reads a camera's recordings and returns how many samples there are.
func checkHashes(t *testing.T, r *running, id understudy.CameraID) (n int) {
	t.Helper()
	segments, err := r.store.Segments(t.Context(), id, time.Unix(0, 0), time.Now().Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, segment := range segments {
		file, err := r.store.OpenSegment(t.Context(), segment.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for reader := fmp4.NewReader(file); ; {
			fragment, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range fragment.Samples {
				if n++; codedHash(s.Payload) != s.Hash {
					t.Fatalf("a recorded sample of %s has other bytes than its hash says", s.At)
				}
			}
		}
	}
	return n
}
