package rtsp

import (
	"bytes"
	"testing"
	"time"

	"understudy"
)

// An encoder may use several picture parameter sets: all of them stand before
// each key sample, and only a change of one begins the track anew.
func TestSeveralPictureParameterSets(t *testing.T) {
	sps := []byte{0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08}
	first, second, changed := []byte{0x68, 0xee, 0x3c, 0x80}, []byte{0x68, 0x53, 0x8f, 0x20}, []byte{0x68, 0x53, 0x8f, 0x28}
	idr, p := []byte{0x65, 0x88, 0x84}, []byte{0x41, 0x9a, 0x21}
	v := newVideo(understudy.Track{ID: understudy.VideoTrack, Codec: understudy.CodecH264, TimeScale: 90000})
	at := time.Unix(1_700_000_000, 0)
	for i, step := range []struct {
		unit   [][]byte
		begins bool
		holds  [][]byte
	}{
		{[][]byte{sps, first, second, idr}, true, [][]byte{sps, first, second, idr}},
		{[][]byte{p}, false, [][]byte{p}},
		{[][]byte{sps, first, second, idr}, false, [][]byte{sps, first, second, idr}},
		{[][]byte{idr}, false, [][]byte{sps, first, second, idr}},
		{[][]byte{sps, first, changed, idr}, true, [][]byte{sps, first, changed, idr}},
	} {
		sample, begins := v.sample(step.unit, uint32(i*3600), at.Add(time.Duration(i)*40*time.Millisecond), time.Time{})
		if sample == nil || begins != step.begins {
			t.Fatalf("access unit %d begins a track: %t, want %t", i, begins, step.begins)
		}
		var want []byte
		for _, nalu := range step.holds {
			want = append(append(want, 0, 0, 0, byte(len(nalu))), nalu...)
		}
		if !bytes.Equal(sample.Payload, want) {
			t.Errorf("access unit %d is %x, want %x", i, sample.Payload, want)
		}
	}
}
