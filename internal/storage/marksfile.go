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
	return checksummed(appendMarks(b, l.Start, marks))
}

// appendMarks appends a number of marks that follow a time.
func appendMarks(b []byte, at time.Time, marks []understudy.SampleMark) []byte {
	b = binary.AppendUvarint(b, uint64(len(marks)))
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
	return b
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
	marks, b, ok := parseMarkList(b, l.Start)
	if !ok || len(b) > 0 {
		return archivedLine{}, nil, errMarks
	}
	return l, marks, nil
}

// parseMarkList is the inverse of appendMarks. It returns what follows.
func parseMarkList(b []byte, at time.Time) (marks []understudy.SampleMark, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n == 0 || n > uint64(len(b)/18) {
		return nil, nil, false
	}
	b = b[used:]
	marks = make([]understudy.SampleMark, 0, n)
	for range n {
		var m understudy.SampleMark
		if m, b, ok = parseMark(b, at); !ok {
			return nil, nil, false
		}
		marks = append(marks, m)
		at = m.At.Add(m.Duration)
	}
	return marks, b, true
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

// indexLine is what the line of a marks file has of the index.
type indexLine struct {
	Name     string                `json:"name"` // of the file, without folder and ending
	Start    time.Time             `json:"start,omitzero"`
	End      time.Time             `json:"end,omitzero"`
	Size     int64                 `json:"size,omitempty"`
	Codec    understudy.Codec      `json:"codec,omitempty"`
	Last     *understudy.Watermark `json:"last,omitempty"`
	Rest     bool                  `json:"rest,omitempty"`
	Holes    []understudy.Hole     `json:"holes,omitempty"`
	Archived bool                  `json:"archived,omitempty"`
}

// archivedEntry makes an entry of an archived segment; nil if the line is
// nothing of that camera.
func (f *folder) archivedEntry(camera understudy.CameraID, l indexLine) *entry {
	id, err := understudy.ParseSegmentID(string(camera) + "/" + l.Name)
	if err != nil || l.Size <= 0 || l.Last == nil {
		return nil
	}
	return &entry{Segment: understudy.Segment{ID: id, Start: l.Start, End: l.End, Size: l.Size, Closed: true, Codec: l.Codec, Holes: l.Holes, Archived: true}, last: *l.Last, rest: l.Rest, folder: f}
}
