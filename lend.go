package understudy

import (
	"bytes"
	"hash/crc32"
	"io"
	"sync"
)

// loan counts who still looks at a payload whose memory is used again.
type loan struct {
	back func(payload []byte)

	mu      sync.Mutex
	holders int
	keepers int // who want it to be somewhere
	gone    bool
	stored  io.ReaderAt // where it can be read back; nil: nowhere yet
	offset  int64
}

// Lend makes the memory of the payload go back when everybody who holds the
// sample has released it. Who lends holds it first. A sample that nobody lent
// may be kept by anybody for any time, and so may one that is never released:
// its memory is the garbage collector's, as any other.
func (s *Sample) Lend(back func(payload []byte)) {
	s.loan = &loan{back: back, holders: 1}
}

// Hold lets one more holder look at the payload, until Release. The caller
// holds it already.
func (s *Sample) Hold() {
	if l := s.loan; l != nil {
		l.mu.Lock()
		l.holders++
		l.mu.Unlock()
	}
}

// Release ends a hold: the caller does not look at the payload any more.
func (s *Sample) Release() {
	s.end(func(l *loan) { l.holders-- })
}

// Keep is for one who may want the payload later: until Unkeep it is in memory,
// or where Stored said. The caller holds it, and before he looks he asks TryHold.
func (s *Sample) Keep() {
	if l := s.loan; l != nil {
		l.mu.Lock()
		l.keepers++
		l.mu.Unlock()
	}
}

// Unkeep ends a Keep.
func (s *Sample) Unkeep() {
	s.end(func(l *loan) { l.keepers-- })
}

// end ends a hold or a keep, and gives the memory back when nobody needs it.
func (s *Sample) end(of func(l *loan)) {
	l := s.loan
	if l == nil {
		return
	}
	l.mu.Lock()
	of(l)
	back := !l.gone && l.holders == 0 && (l.keepers == 0 || l.stored != nil)
	l.gone = l.gone || back
	l.mu.Unlock()
	if back {
		l.back(s.Payload)
	}
}

// TryHold is Hold for one who keeps the sample. False: its memory went back,
// and ReadBack has the payload.
func (s *Sample) TryHold() bool {
	l := s.loan
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	l.holders++
	return true
}

// Stored tells where the payload can be read back for as long as somebody may
// keep it, or fails to be. The caller holds the sample until that is durable.
func (s *Sample) Stored(in io.ReaderAt, offset int64) {
	if l := s.loan; l != nil {
		l.mu.Lock()
		l.stored, l.offset = in, offset
		l.mu.Unlock()
	}
}

// ReadBack returns the sample with a payload of its own, from where it is
// stored. It waits for the disk. CodeNotFound when it is stored nowhere,
// CodeUnavailable when other bytes lie there, else the reader's error.
func (s *Sample) ReadBack() (*Sample, error) {
	l := s.loan
	if l == nil {
		return s, nil
	}
	l.mu.Lock()
	stored, offset := l.stored, l.offset
	l.mu.Unlock()
	if stored == nil {
		return nil, Errorf(CodeNotFound, "the sample of %s is stored nowhere", s.At)
	}
	own := *s
	own.loan, own.Payload = nil, make([]byte, len(s.Payload))
	if n, err := stored.ReadAt(own.Payload, offset); n < len(own.Payload) {
		return nil, err
	}
	if s.Sum != 0 && crc32.Checksum(own.Payload, castagnoli) != s.Sum {
		return nil, Errorf(CodeUnavailable, "the sample of %s does not lie where it was written", s.At)
	}
	return &own, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Detached returns the sample for those who keep it without holding it: with a
// payload of its own if it is lent. The caller holds s.
func (s *Sample) Detached() *Sample {
	if s.loan == nil {
		return s
	}
	own := *s
	own.loan, own.Payload = nil, bytes.Clone(s.Payload)
	return &own
}
