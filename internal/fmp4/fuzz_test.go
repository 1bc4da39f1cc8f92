package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"reflect"
	"testing"
	"time"

	"understudy"
)

var fuzzTracks = []understudy.Track{
	{ID: 1, Codec: understudy.CodecMJPEG, TimeScale: 90000, Width: 64, Height: 48},
	{ID: 2, Codec: understudy.CodecLPCM, TimeScale: 8000, SampleRate: 8000, Channels: 1},
}

func fuzzFragment(t testing.TB) []byte {
	t.Helper()
	at := time.Unix(1700000000, 0)
	b, err := MarshalFragment(fuzzTracks, 1, at, []TimedSample{
		{Sample: &understudy.Sample{Track: 1, At: at, Key: true, Payload: []byte("picture")}, Duration: time.Second},
		{Sample: &understudy.Sample{Track: 2, At: at, Key: true, Payload: []byte("sound")}, Duration: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever a file has, reading it ends, and counts only what is there.
func FuzzReader(f *testing.F) {
	header, err := MarshalHeader(Header{Segment: understudy.SegmentID{Camera: "lobby", Holder: "rec1"}}, fuzzTracks)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil), false)
	f.Add(fuzzFragment(f), false)
	f.Add(append(header, fuzzFragment(f)...), true)
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		if !whole {
			b = append(bytes.Clone(header), b...)
		}
		r := NewReader(bytes.NewReader(b))
		total := int64(0)
		for {
			fragment, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && understudy.CodeOf(err) != understudy.CodeInvalid {
					t.Fatalf("reading from memory fails with %v", err)
				}
				break
			}
			if fragment.Size <= 0 || len(fragment.Samples) == 0 {
				t.Fatalf("a fragment of nothing: %+v", fragment)
			}
			total += int64(fragment.Size)
		}
		if r.Offset() > int64(len(b)) || total > r.Offset() {
			t.Fatalf("%d bytes of fragments end at %d of %d", total, r.Offset(), len(b))
		}
		_, _, _, size, err := Scan(bytes.NewReader(b), math.MaxInt64)
		if err == nil && (size > int64(len(b)) || size < r.Offset()) {
			t.Fatalf("skipping payloads ends at %d, reading them at %d of %d", size, r.Offset(), len(b))
		}
	})
}

// Checksums keep a fuzzer out of the parser: this goes in behind them. What is
// accepted is written again as it was, decode times and checksum aside.
func FuzzMoof(f *testing.F) {
	b := fuzzFragment(f)
	f.Add(b[:binary.BigEndian.Uint32(b)])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseMoof(b, fuzzTracks)
		if !ok {
			return
		}
		if m.payload < 0 || m.payload > maxFragment || len(m.sizes) != len(m.samples) || m.crcAt+4 > len(b) {
			t.Fatalf("accepted: %+v", m)
		}
		if m.payload > 1<<20 {
			return
		}
		fragment := binary.BigEndian.AppendUint32(bytes.Clone(b), uint32(8+m.payload))
		fragment = append(append(fragment, "mdat"...), make([]byte, m.payload)...)
		binary.BigEndian.PutUint32(fragment[m.crcAt:], 0)
		binary.BigEndian.PutUint32(fragment[m.crcAt:], crc32.Checksum(fragment, castagnoli))
		if !m.verify(fragment, len(b)) {
			t.Fatal("the right checksum is refused")
		}
		again, err := MarshalFragment(fuzzTracks, m.sequence, m.samples[0].At, m.samples)
		if err != nil {
			t.Fatal(err)
		}
		n, ok := parseMoof(again[:len(again)-8-m.payload], fuzzTracks)
		if !ok || len(again) != len(fragment) {
			t.Fatalf("what is written again is not accepted: %d bytes were %d", len(again), len(fragment))
		}
		for i := range n.samples {
			a, b := m.samples[i], n.samples[i]
			if !a.At.Equal(b.At) || a.Duration != b.Duration || a.Hash != b.Hash || a.Key != b.Key {
				t.Fatalf("sample %d was %+v and is %+v", i, a, b)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(`{"segment":{"camera":"lobby","epoch":1,"holder":"rec1","sequence":2},"start":"2026-03-01T12:00:00Z","tracks":[{"id":1,"codec":"mjpeg","time_scale":90000,"width":64,"height":48}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		b := binary.BigEndian.AppendUint32([]byte{boxVersion, 0, 0, 0}, crc32.Checksum(content, castagnoli))
		h, tracks, err := parseHeader(append(b, content...))
		if err != nil {
			return
		}
		if err := errors.Join(h.Segment.Validate(), validateTracks(tracks)); err != nil {
			t.Fatalf("accepted: %v", err)
		}
		again, err := MarshalHeader(h, tracks)
		if err != nil {
			return // parameter sets that make no sample entry
		}
		got, gotTracks, err := NewReader(bytes.NewReader(again)).Header()
		if err != nil || got.Segment != h.Segment || !got.Start.Equal(h.Start) || len(gotTracks) != len(tracks) {
			t.Fatalf("%+v is read back as %+v: %v", h, got, err)
		}
		for i := range tracks {
			if !reflect.DeepEqual(gotTracks[i], tracks[i]) {
				t.Fatalf("track %+v is read back as %+v", tracks[i], gotTracks[i])
			}
		}
	})
}
