package storage

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"understudy"
)

func marksOf(n int) (archivedLine, []understudy.SampleMark) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	line := archivedLine{SHA256: bytes.Repeat([]byte{7}, 32), indexLine: indexLine{Name: "0000000001-rec1-000000000064", Start: at, Size: 1000, Codec: understudy.CodecH264, Archived: true}}
	var marks []understudy.SampleMark
	for i := range n {
		m := understudy.SampleMark{At: at, Duration: 40*time.Millisecond + time.Duration(i%3)*time.Microsecond, Key: i%50 == 0, Hash: understudy.SampleHash{byte(i), byte(i >> 8)}}
		marks = append(marks, m)
		at = m.At.Add(m.Duration)
		if i%100 == 99 {
			at = at.Add(time.Duration(i%7-3) * time.Millisecond) // a hole, an overlap
		}
	}
	line.End, line.Last = at, &understudy.Watermark{At: marks[n-1].At, Hash: marks[n-1].Hash}
	return line, marks
}

func TestAMarksFileIsReadAsItWasWritten(t *testing.T) {
	line, marks := marksOf(1500)
	b := marshalMarks(line, marks)
	gotLine, gotMarks, err := parseMarks(b)
	if err != nil || !reflect.DeepEqual(gotLine, line) || !reflect.DeepEqual(gotMarks, marks) {
		t.Errorf("%+v, %d marks, %v; want %+v, %d", gotLine, len(gotMarks), err, line, len(marks))
	}
	if len(b) > 1500*24 {
		t.Errorf("1500 marks take %d bytes", len(b))
	}
	for i := range b {
		if i%97 != 0 && i > 200 {
			continue
		}
		damaged := bytes.Clone(b)
		damaged[i] ^= 4
		if _, _, err := parseMarks(damaged); err == nil {
			t.Fatalf("a flipped bit in byte %d was not noticed", i)
		}
		if _, _, err := parseMarks(b[:i]); err == nil {
			t.Fatalf("a file that was cut at byte %d was taken", i)
		}
	}
}

// Whatever lies in the bucket under that name, it is taken whole or not at all.
func FuzzMarksFile(f *testing.F) {
	line, marks := marksOf(3)
	f.Add(marshalMarks(line, marks)[len(marksMagic):])
	f.Add([]byte("{}\n\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = checksummed(append([]byte(marksMagic), b...)) // else nothing gets past the checksum
		line, marks, err := parseMarks(b)
		if err != nil {
			return
		}
		again, same, err := parseMarks(marshalMarks(line, marks))
		if err != nil || len(same) != len(marks) || again.Name != line.Name {
			t.Errorf("what was read cannot be written and read again: %v", err)
		}
	})
}
