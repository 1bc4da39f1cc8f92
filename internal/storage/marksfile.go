package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"strings"
	"time"

	"understudy"
)

// A marks file is what stays of a segment whose bytes went to the archive, and
// lies beside them there, too: all that the index and a timeline need. Whoever
// has it can find the footage; whoever lost everything gets it from the bucket.
//
//	understudy marks 1\n
//	JSON of the index line, with the SHA-256 of the segment, \n
//	uvarint number of marks, then of each:
//	  varint start after the end of the one before (ns; the first: after the line's start)
//	  uvarint duration (ns) times 2, plus 1 of a key frame
//	  16 bytes hash
//	u32 CRC-32C of all before, big endian

const marksMagic = "understudy marks 1\n"

// Bounds of a marks file: a segment of an hour at 120 frames a second.
const (
	maxMarks     = 500_000
	maxMarksFile = maxMarks * 40
	maxMarksLine = 16 << 10
)

// archivedLine is the line of a marks file.
type archivedLine struct {
	indexLine
	SHA256 []byte `json:"sha256"`
}

func marksPath(id understudy.SegmentID) string { return camerasDir + "/" + id.String() + ".marks" }

// marshalMarks makes a marks file of a segment.
func marshalMarks(l archivedLine, marks []understudy.SampleMark) []byte {
	content, err := json.Marshal(l)
	if err != nil {
		panic("the line of a marks file is always JSON: " + err.Error())
	}
	b := append([]byte(marksMagic), content...)
	b = append(b, '\n')
	b = binary.AppendUvarint(b, uint64(len(marks)))
	at := l.Start
	for _, m := range marks {
		b = binary.AppendVarint(b, int64(m.At.Sub(at)))
		key := uint64(0)
		if m.Key {
			key = 1
		}
		b = binary.AppendUvarint(b, uint64(m.Duration)<<1|key)
		b = append(b, m.Hash[:]...)
		at = m.At.Add(m.Duration)
	}
	return checksummed(b)
}

func checksummed(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// errMarks is what is wrong with a marks file, whatever it is.
var errMarks = understudy.Errorf(understudy.CodeInvalid, "it is no whole marks file")

// parseMarks is the inverse of marshalMarks. It trusts nothing.
func parseMarks(b []byte) (archivedLine, []understudy.SampleMark, error) {
	if len(b) < len(marksMagic)+4 || len(b) > maxMarksFile || !bytes.HasPrefix(b, []byte(marksMagic)) ||
		binary.BigEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(b[:len(b)-4], castagnoli) {
		return archivedLine{}, nil, errMarks
	}
	content, b, ok := bytes.Cut(b[len(marksMagic):len(b)-4], []byte("\n"))
	var l archivedLine
	if !ok || len(content) > maxMarksLine || json.Unmarshal(content, &l) != nil || l.Size <= 0 || l.Last == nil || len(l.SHA256) != sha256.Size {
		return archivedLine{}, nil, errMarks
	}
	n, used := binary.Uvarint(b)
	if used <= 0 || n == 0 || n > uint64(len(b)/18) {
		return archivedLine{}, nil, errMarks
	}
	b = b[used:]
	marks := make([]understudy.SampleMark, 0, n)
	at := l.Start
	for range n {
		var m understudy.SampleMark
		if m, b, ok = parseMark(b, at); !ok {
			return archivedLine{}, nil, errMarks
		}
		marks = append(marks, m)
		at = m.At.Add(m.Duration)
	}
	if len(b) > 0 {
		return archivedLine{}, nil, errMarks
	}
	return l, marks, nil
}

// maxStep bounds a duration and a hole within a segment.
const maxStep = 24 * time.Hour

func parseMark(b []byte, at time.Time) (understudy.SampleMark, []byte, bool) {
	after, used := binary.Varint(b)
	if used <= 0 || after < -int64(maxStep) || after > int64(maxStep) {
		return understudy.SampleMark{}, nil, false
	}
	b = b[used:]
	duration, used := binary.Uvarint(b)
	if used <= 0 || duration>>1 > uint64(maxStep) || len(b) < used+len(understudy.SampleHash{}) {
		return understudy.SampleMark{}, nil, false
	}
	m := understudy.SampleMark{At: at.Add(time.Duration(after)), Duration: time.Duration(duration >> 1), Key: duration&1 == 1}
	copy(m.Hash[:], b[used:])
	return m, b[used+len(m.Hash):], true
}

// readMarksFile returns what a camera's folder knows of an archived segment.
func (f *folder) readMarksFile(id understudy.SegmentID) (archivedLine, []understudy.SampleMark, error) {
	content, err := f.readFile(marksPath(id))
	if isNotExist(err) {
		return archivedLine{}, nil, notHere(id)
	}
	if err != nil {
		return archivedLine{}, nil, understudy.Errorf(understudy.CodeUnavailable, "the marks of segment %s cannot be read; check the disk: %w", id, err)
	}
	l, marks, err := parseMarks(content)
	if err != nil || l.Name != nameOf(id) {
		return archivedLine{}, nil, understudy.Errorf(understudy.CodeInvalid, "the marks of segment %s are damaged; they are read from the archive at the next start", id)
	}
	return l, marks, nil
}

// marksFileID returns of which segment a file of a camera's folder has the marks.
func marksFileID(camera understudy.CameraID, file string) (understudy.SegmentID, bool) {
	name, ok := strings.CutSuffix(file, ".marks")
	if !ok {
		return understudy.SegmentID{}, false
	}
	id, err := understudy.ParseSegmentID(string(camera) + "/" + name)
	return id, err == nil
}

// recoverArchived returns the segments of a camera whose bytes are in the
// archive alone, and how many of them the index did not know. A marks file that
// is damaged is left out and replaced when the archive is compared.
func (f *folder) recoverArchived(camera understudy.CameraID, lines map[string]indexLine, sizes map[understudy.SegmentID]int64, marks []understudy.SegmentID) (list []*entry, read int) {
	for _, id := range marks {
		if _, here := sizes[id]; here {
			continue
		}
		e := f.entryOf(camera, lines[nameOf(id)])
		if e == nil || e.ID != id || !e.Archived {
			read++
			l, _, err := f.readMarksFile(id)
			if err != nil {
				f.log.Warn("a segment of the archive is left out until that is compared", "segment", id, "err", err)
				continue
			}
			l.Archived = true
			e = f.entryOf(camera, l.indexLine)
		}
		if e != nil {
			list = append(list, e)
		}
	}
	return list, read
}
