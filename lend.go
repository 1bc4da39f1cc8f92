package understudy

import (
	"bytes"
	"sync/atomic"
)

// loan counts who still looks at a payload whose memory is used again.
type loan struct {
	holders atomic.Int32
	back    func(payload []byte)
}

// Lend makes the memory of the payload go back when everybody who holds the
// sample has released it. Who lends holds it first. A sample that nobody lent
// may be kept by anybody for any time, and so may one that is never released:
// its memory is the garbage collector's, as any other.
func (s *Sample) Lend(back func(payload []byte)) {
	s.loan = &loan{back: back}
	s.loan.holders.Store(1)
}

// Hold lets one more holder look at the payload, until Release. The caller
// holds it already.
func (s *Sample) Hold() {
	if s.loan != nil {
		s.loan.holders.Add(1)
	}
}

// Release ends a hold: the caller does not look at the payload any more.
func (s *Sample) Release() {
	if s.loan != nil && s.loan.holders.Add(-1) == 0 {
		s.loan.back(s.Payload)
	}
}

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
