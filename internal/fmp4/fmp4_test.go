package fmp4_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
)

var segment = understudy.SegmentID{Camera: "lobby", Epoch: 3, Holder: "rec1", Sequence: 7}

// write returns a segment of samples in fragments of so many.
func write(t testing.TB, id understudy.SegmentID, tracks []understudy.Track, samples []fmp4.TimedSample, each int) []byte {
	t.Helper()
	start := samples[0].At
	b, err := fmp4.MarshalHeader(fmp4.Header{Segment: id, Start: start}, tracks)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint32(1); len(samples) > 0; n++ {
		some := samples[:min(each, len(samples))]
		samples = samples[len(some):]
		f, err := fmp4.MarshalFragment(tracks, n, start, some)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, f...)
	}
	return b
}

// read returns all that a Reader finds, and where it ends.
func read(t testing.TB, b []byte) (fmp4.Header, []understudy.Track, []fmp4.TimedSample, int64) {
	t.Helper()
	r := fmp4.NewReader(bytes.NewReader(b))
	h, tracks, err := r.Header()
	if err != nil {
		t.Fatal(err)
	}
	var samples []fmp4.TimedSample
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return h, tracks, samples, r.Offset()
		}
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, f.Samples...)
	}
}

func only(track int, samples []fmp4.TimedSample) []fmp4.TimedSample {
	var some []fmp4.TimedSample
	for _, s := range samples {
		if s.Track == track {
			some = append(some, s)
		}
	}
	return some
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for _, clip := range []string{"h264", "h265"} {
		tracks, samples := fmp4test.Clip(t, clip, 1)
		b := write(t, segment, tracks, samples, 17)
		h, gotTracks, got, offset := read(t, b)
		if h.Segment != segment || !h.Start.Equal(samples[0].At) || !reflect.DeepEqual(gotTracks, tracks) || offset != int64(len(b)) {
			t.Fatalf("%s: header %+v, offset %d of %d", clip, h, offset, len(b))
		}
		for track := 1; track <= len(tracks); track++ {
			want, got := only(track, samples), only(track, got)
			if len(got) != len(want) {
				t.Fatalf("%s: %d samples of track %d, want %d", clip, len(got), track, len(want))
			}
			for i := range want {
				got[i].Offset = got[i].Offset.Round(time.Microsecond)
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Fatalf("%s: sample %d of track %d is %+v, want %+v", clip, i, track, *got[i].Sample, *want[i].Sample)
				}
			}
		}
	}
}

func TestScanFindsTheMarksWithoutPayloads(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 1)
	b := write(t, segment, tracks, samples, 17)
	_, _, marks, size, err := fmp4.Scan(bytes.NewReader(b), math.MaxInt64)
	video := only(1, samples)
	if err != nil || size != int64(len(b)) || len(marks) != len(video) {
		t.Fatalf("%d marks, %d bytes, %v", len(marks), size, err)
	}
	for i, m := range marks {
		if !m.At.Equal(video[i].At) || m.Duration != video[i].Duration || m.Key != video[i].Key || m.Hash != video[i].Hash {
			t.Fatalf("mark %d is %+v", i, m)
		}
	}
}

// Wherever a file is torn, zeroed or scribbled on, all whole fragments before
// that place are read, and nothing else.
func TestATornTailIsAnEnd(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	b := write(t, segment, tracks, samples, 5)
	r := fmp4.NewReader(bytes.NewReader(b))
	if _, _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	ends := []int64{r.Offset()}
	for {
		if _, err := r.Next(); err != nil {
			break
		}
		ends = append(ends, r.Offset())
	}
	for at := ends[0]; at < int64(len(b)); at += 37 {
		whole := ends[0]
		for _, e := range ends {
			if e <= at {
				whole = e
			}
		}
		for name, tail := range map[string][]byte{
			"cut":     nil,
			"zeros":   make([]byte, 4096),
			"garbage": bytes.Repeat([]byte{0xa5, 0x01, 0x7f}, 1000),
			"flipped": append([]byte{b[at] ^ 0x10}, b[at+1:]...),
		} {
			torn := append(bytes.Clone(b[:at]), tail...)
			if _, _, _, offset := read(t, torn); offset != whole {
				t.Fatalf("%s at %d: ends at %d, want %d", name, at, offset, whole)
			}
		}
		if _, _, _, size, err := fmp4.Scan(bytes.NewReader(b[:at]), math.MaxInt64); err != nil || size != whole {
			t.Fatalf("scan of a file cut at %d ends at %d (%v), want %d", at, size, err, whole)
		}
	}
}

type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		return n, errors.New("input/output error")
	}
	return n, err
}

// A disk that cannot be read must not look like the end of the footage.
func TestAnErrorOfReadingIsNoEnd(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	b := write(t, segment, tracks, samples, 5)
	r := fmp4.NewReader(failing{bytes.NewReader(b[:len(b)-100])})
	for {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Fatal("the error became io.EOF")
		}
		if err != nil {
			return
		}
	}
}

func TestWhatIsNoSegmentIsRefused(t *testing.T) {
	tracks, _ := fmp4test.Clip(t, "h265", 1)
	init, err := fmp4.MarshalInit(tracks)
	if err != nil {
		t.Fatal(err)
	}
	header, err := fmp4.MarshalHeader(fmp4.Header{Segment: segment}, tracks)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(header)
	damaged[len(damaged)-5] ^= 1
	evil, err := fmp4.MarshalHeader(fmp4.Header{Segment: understudy.SegmentID{Camera: "../etc", Holder: "rec1"}}, tracks)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte("hello, this is no video at all"), "no header": init,
		"damaged header": damaged, "torn header": header[:len(header)-1], "escaping name": evil, "zeros": make([]byte, 9000),
	} {
		if _, _, err := fmp4.NewReader(bytes.NewReader(b)).Header(); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The layout of design/storage.md, byte by byte.
func TestFragmentBytes(t *testing.T) {
	tracks := []understudy.Track{
		{ID: 1, Codec: understudy.CodecH264, TimeScale: 90000},
		{ID: 2, Codec: understudy.CodecLPCM, TimeScale: 8000},
	}
	base := time.Unix(1000, 0)
	hash := understudy.SampleHash{0xaa, 15: 0xbb}
	b, err := fmp4.MarshalFragment(tracks, 9, base, []fmp4.TimedSample{
		{Sample: &understudy.Sample{Track: 1, At: base.Add(time.Second), Key: true, Payload: []byte("KEY"), Hash: hash}, Duration: 40 * time.Millisecond},
		{Sample: &understudy.Sample{Track: 2, At: base.Add(time.Second), Key: true, Payload: []byte("PCM!")}, Duration: 20 * time.Millisecond},
		{Sample: &understudy.Sample{Track: 1, At: base.Add(1050 * time.Millisecond), Offset: 10 * time.Millisecond, Payload: []byte("P")}, Duration: 40 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "" +
		"00000148" + "6d6f6f66" + // moof
		"00000010" + "6d666864" + "00000000" + "00000009" + // mfhd
		"00000060" + "74726166" + // traf
		"00000010" + "74666864" + "00020000" + "00000001" + // tfhd: track 1
		"00000014" + "74666474" + "01000000" + "0000000000015f90" + // tfdt: 90000
		"00000034" + "7472756e" + "01000f01" + "00000002" + "00000150" + // trun: 2 samples, data at 336
		"00001194" + "00000003" + "02000000" + "00000000" + // 4500 units (50 ms), 3 bytes, key
		"00000e10" + "00000001" + "01010000" + "00000384" + // 3600 units, 1 byte, shown 900 units later
		"00000050" + "74726166" +
		"00000010" + "74666864" + "00020000" + "00000002" +
		"00000014" + "74666474" + "01000000" + "0000000000001f40" + // tfdt: 8000
		"00000024" + "7472756e" + "01000f01" + "00000001" + "00000154" +
		"000000a0" + "00000004" + "02000000" + "00000000" +
		"00000080" + "75756964" + "bb1f7a5e6a414c629d0e757366726100" + "01000000" + "CHECKSUM" +
		"000000e9103fda00" + "0000000002625a00" + "aa0000000000000000000000000000bb" +
		"000000e9133aca80" + "0000000002625a00" + "00000000000000000000000000000000" +
		"000000e9103fda00" + "0000000001312d00" + "00000000000000000000000000000000" +
		"00000010" + "6d646174" + "4b4559" + "50" + "50434d21"
	got := hex.EncodeToString(b)
	at := bytes.Index([]byte(want), []byte("CHECKSUM"))
	if len(got) != len(want) || got[:at] != want[:at] || got[at+8:] != want[at+8:] {
		t.Errorf("fragment is\n%s, want\n%s", got, want)
	}
	if checksum := got[at : at+8]; checksum != fragmentChecksum {
		t.Errorf("the checksum is %s, want %s", checksum, fragmentChecksum)
	}
}

// fragmentChecksum is CRC-32C of the fragment with zeros in its place.
const fragmentChecksum = "90db81ee"

func TestProgramsReadASegment(t *testing.T) {
	for clip, want := range map[string]int{"h264": 40, "h265": 30} {
		tracks, samples := fmp4test.Clip(t, clip, 1)
		name := t.TempDir() + "/segment.mp4"
		if err := os.WriteFile(name, write(t, segment, tracks, samples, 17), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := len(fmp4test.Probe(t, name)[0]); got != want {
			t.Errorf("%s: ffprobe finds %d pictures, want %d", clip, got, want)
		}
		fmp4test.Decode(t, name)
	}
}
