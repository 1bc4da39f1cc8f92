package channel

import (
	"bytes"
	"testing"

	"understudy"
)

// Clients of the same rights that are at different places let each event be written once,
// and what is remembered has a bound.
func TestAnEventIsWrittenOnceForThoseOfTheSameRights(t *testing.T) {
	var v texts
	written := map[uint64]int{}
	ask := func(seq uint64, size int) []byte {
		t.Helper()
		text, err := v.get(understudy.Cursor{Stream: "log-a", Seq: seq}, func() ([]byte, error) {
			written[seq]++
			return bytes.Repeat([]byte{byte(seq)}, size), nil
		})
		if err != nil || len(text) != size || size > 0 && text[0] != byte(seq) {
			t.Fatalf("event %d is %d bytes, %v", seq, len(text), err)
		}
		return text
	}
	for range 3 {
		for seq := range uint64(100) {
			ask(seq, int(seq)*10) // an event that they may not see is empty
		}
	}
	for seq, times := range written {
		if times != 1 {
			t.Errorf("event %d was written %d times", seq, times)
		}
	}
	ask(100, maxTexts+1)
	ask(100, maxTexts+1)
	if written[100] != 1 || len(v.of) != 1 || len(v.order) != 1 {
		t.Errorf("a text beyond the bound was written %d times and is remembered beside %d others", written[100], len(v.of)-1)
	}
	if ask(101, 5); len(v.of) != 1 || v.size != cost(make([]byte, 5)) {
		t.Errorf("%d texts of %d bytes are remembered", len(v.of), v.size)
	}
}
