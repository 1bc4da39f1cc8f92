package wire

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"understudy"
)

type message struct {
	Text string `json:"text"`
	N    int    `json:"n"`
}

func TestFramesAreTheseBytes(t *testing.T) {
	var b bytes.Buffer
	if err := errors.Join(Write(&b, message{"é", 7}), WriteData(&b, []byte{0, 0xff})); err != nil {
		t.Fatal(err)
	}
	want := "J\x00\x00\x00\x13" + `{"text":"` + "é" + `","n":7}` + "D\x00\x00\x00\x02\x00\xff"
	if b.String() != want {
		t.Fatalf("wrote %q, want %q", b.String(), want)
	}
	var m message
	data := make([]byte, 2)
	if err := Read(&b, 19, &m); err != nil || m != (message{"é", 7}) {
		t.Errorf("read %+v, %v", m, err)
	}
	if n, err := ReadData(&b, data); err != nil || n != 2 || !bytes.Equal(data, []byte{0, 0xff}) {
		t.Errorf("read % x, %v", data[:n], err)
	}
	if err := Read(&b, 19, &m); err != io.EOF { //nolint:errorlint // itself, not wrapped
		t.Errorf("at the end: %v, want io.EOF itself", err)
	}
}

func TestAnythingButTheExpectedFrameIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		code        understudy.Code
		sentence    string
	}{
		{"another kind", "D\x00\x00\x00\x02{}", understudy.CodeInvalid, `kind 'J', found 'D'`},
		{"not a frame", "GET / HTTP/1.1\r\n\r\n", understudy.CodeInvalid, `found 'G'`},
		{"longer than the limit", "J\x00\x00\x00\x65" + strings.Repeat(" ", 101), understudy.CodeInvalid, "up to 100 bytes, and one of 101"},
		{"4 GiB announced", "J\xff\xff\xff\xff", understudy.CodeInvalid, "one of 4294967295"},
		{"not JSON", "J\x00\x00\x00\x01{", understudy.CodeInvalid, "as JSON"},
		{"two values", "J\x00\x00\x00\x05{} {}", understudy.CodeInvalid, "as JSON"},
		{"another type", `J` + "\x00\x00\x00\x0a" + `{"n":"no"}`, understudy.CodeInvalid, "as JSON"},
		{"empty", "J\x00\x00\x00\x00", understudy.CodeInvalid, "as JSON"},
		{"torn header", "J\x00\x00", understudy.CodeUnavailable, "lost inside a frame"},
		{"torn payload", "J\x00\x00\x00\x09{", understudy.CodeUnavailable, "lost inside a frame"},
		{"no payload", "J\x00\x00\x00\x09", understudy.CodeUnavailable, "lost inside a frame"},
	} {
		var m message
		err := Read(strings.NewReader(c.bytes), 100, &m)
		if err == nil || understudy.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.sentence) {
			t.Errorf("%s: %v (%s), want %s with %q", c.name, err, understudy.CodeOf(err), c.code, c.sentence)
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("%s: taken for a clean end: %v", c.name, err)
		}
	}
	if _, err := ReadData(strings.NewReader("D\x00\x00\x00\x03abc"), make([]byte, 2)); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("data larger than the buffer: %v", err)
	}
}

func TestAnAnnouncedLengthTakesNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var m message
	err := Read(strings.NewReader("J\x3f\xff\xff\xff{"), 1<<30, &m)
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; err == nil || taken > 1<<20 {
		t.Errorf("a header that announced 1 GiB took %d bytes (%v)", taken, err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOf(rapid.Custom(func(t *rapid.T) any {
			if rapid.Bool().Draw(t, "json") {
				return message{rapid.String().Draw(t, "text"), rapid.Int().Draw(t, "n")}
			}
			return rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		})).Draw(t, "frames")
		var b bytes.Buffer
		for _, v := range sent {
			if data, ok := v.([]byte); ok {
				_ = WriteData(&b, data)
			} else {
				_ = Write(&b, v)
			}
		}
		buffer := make([]byte, 1<<16)
		for _, v := range sent {
			if data, ok := v.([]byte); ok {
				if n, err := ReadData(&b, buffer); err != nil || !bytes.Equal(buffer[:n], data) {
					t.Fatalf("sent % x, read % x, %v", data, buffer[:n], err)
				}
				continue
			}
			var m message
			if err := Read(&b, 1<<16, &m); err != nil || m != v {
				t.Fatalf("sent %+v, read %+v, %v", v, m, err)
			}
		}
	})
}

func TestAFilledFrameIsAWrittenOne(t *testing.T) {
	var b bytes.Buffer
	if err := WriteData(&b, []byte("footage")); err != nil {
		t.Fatal(err)
	}
	if got := FillData(append(make([]byte, DataRoom), "footage"...)); !bytes.Equal(got, b.Bytes()) {
		t.Errorf("filled % x, written % x", got, b.Bytes())
	}
}

func TestAWriteIsOneWrite(t *testing.T) {
	var w countingWriter
	if err := Write(&w, message{"a", 1}); err != nil || w != 1 {
		t.Errorf("%d calls of Write, %v; a frame in pieces would be several TLS records", w, err)
	}
}

type countingWriter int

func (w *countingWriter) Write(p []byte) (int, error) { *w++; return len(p), nil }

func FuzzRead(f *testing.F) {
	f.Add([]byte("J\x00\x00\x00\x02{}"))
	f.Add([]byte("D\x00\x00\x00\x03abc"))
	f.Add([]byte("J\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, input []byte) {
		var m message
		r := bytes.NewReader(input)
		if err := Read(r, 64, &m); err == nil && len(input)-r.Len() > headerSize+64 {
			t.Errorf("read %d bytes", len(input)-r.Len())
		}
		data := make([]byte, 64)
		if n, err := ReadData(bytes.NewReader(input), data); err == nil && !bytes.Equal(data[:n], input[headerSize:headerSize+n]) {
			t.Errorf("read % x of % x", data[:n], input)
		}
	})
}
