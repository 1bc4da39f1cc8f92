package directory

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// parseSID writes a SID as [MS-DTYP] §2.4.2.1 does, from the bytes of §2.4.2.2.
func parseSID(b []byte) (string, bool) {
	const head, most = 8, 15
	if len(b) < head || b[0] != 1 || b[1] > most || len(b) != head+4*int(b[1]) {
		return "", false
	}
	var authority [8]byte
	copy(authority[2:], b[2:head])
	var text strings.Builder
	fmt.Fprintf(&text, "S-1-%d", binary.BigEndian.Uint64(authority[:]))
	for b = b[head:]; len(b) > 0; b = b[4:] {
		fmt.Fprintf(&text, "-%d", binary.LittleEndian.Uint32(b))
	}
	return text.String(), true
}
