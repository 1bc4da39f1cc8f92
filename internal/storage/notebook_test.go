package storage

import (
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"understudy"
)

// Whatever lies in a notes file: what is read of it are notes of that camera,
// and writing them down gives them again.
func FuzzParseNotes(f *testing.F) {
	n := understudy.NewGapNote("rec1", "lobby", understudy.GapDisk, time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC(), "slow")
	line := appendNoteLine(nil, noteLine{Note: &n, At: time.Unix(3, 0).UTC()})
	f.Add(line)
	f.Add(append(line, appendNoteLine(nil, noteLine{Gone: n.ID})...))
	f.Add(line[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		// As a file of lines, and as the content of one with the right checksum.
		for _, content := range [][]byte{b, fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(b, castagnoli), b)} {
			notes, _, _, _ := parseNotes("lobby", content)
			var again []byte
			for _, n := range notes {
				if n.note.Camera != "lobby" || n.note.Validate() != nil {
					t.Fatalf("read %v", n.note)
				}
				again = appendNoteLine(again, noteLine{Note: &n.note, At: n.at})
			}
			if same, _, damaged, torn := parseNotes("lobby", again); len(same) != len(notes) || damaged > 0 || torn {
				t.Fatalf("%d notes became %d", len(notes), len(same))
			}
		}
	})
}
