package rtsp

import (
	"bytes"
	"slices"
	"sync"
)

// assembler puts the NAL units of an access unit together in one buffer. A unit
// that comes in fragments grows at the buffer's end. Its bounds are the library's.
type assembler struct {
	maxBytes, maxUnits int

	shared *[]byte // where bytes came from
	bytes  []byte
	ends   []int // of the whole units; what is behind the last end is a fragmented one
	size   int   // of the whole units
	frames [][]byte

	fragment bool   // one has begun,
	next     uint16 // and goes on with this packet
}

// assemblyBuffers are shared by all cameras: a camera holds one only while an
// access unit is on its way.
var assemblyBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

// keptAssembly is the largest buffer that goes back.
const keptAssembly = 1 << 20

func (a *assembler) hold() {
	if a.shared == nil {
		a.shared = assemblyBuffers.Get().(*[]byte)
		a.bytes = (*a.shared)[:0]
	}
}

// release gives the buffer back when nothing is in it.
func (a *assembler) release() {
	if a.shared == nil || len(a.bytes) > 0 || a.fragment {
		return
	}
	if cap(a.bytes) <= keptAssembly {
		*a.shared = a.bytes
		assemblyBuffers.Put(a.shared)
	}
	a.shared, a.bytes = nil, nil
}

// end is where the whole units end.
func (a *assembler) end() int {
	if len(a.ends) == 0 {
		return 0
	}
	return a.ends[len(a.ends)-1]
}

// dropFragment forgets the unit that has begun.
func (a *assembler) dropFragment() {
	a.fragment = false
	a.bytes = a.bytes[:a.end()]
}

// beginFragment begins a unit with its header.
func (a *assembler) beginFragment(number uint16, payload []byte, header ...byte) {
	a.hold()
	a.fragment, a.next = true, number+1
	a.bytes = append(append(a.bytes, header...), payload...)
}

// addFragment continues the unit; false if it does not fit to what came before.
func (a *assembler) addFragment(number uint16, payload []byte) bool {
	if !a.fragment {
		return false
	}
	if number != a.next || len(a.bytes)-a.end()+len(payload) > a.maxBytes {
		a.dropFragment()
		return false
	}
	a.bytes = append(a.bytes, payload...)
	a.next++
	return true
}

// Start codes of annex B: the second is what some cameras put before their units.
var (
	startCode     = []byte{0, 0, 1}
	longStartCode = []byte{0, 0, 0, 1}
)

// endFragment makes the unit that has grown a whole one: or several, since some
// cameras put start codes between units inside of one. It returns how many.
func (a *assembler) endFragment() int {
	begin := a.end()
	a.fragment = false
	grown := a.bytes[begin:]
	if !bytes.Contains(grown, startCode) {
		a.ends = append(a.ends, len(a.bytes))
		a.size += len(grown)
		return 1
	}
	parts := splitUnits(slices.Clone(grown))
	a.bytes = a.bytes[:begin]
	for _, unit := range parts {
		a.add(unit)
	}
	return len(parts)
}

// splitUnits splits at start codes, of which the zero byte before belongs to them.
func splitUnits(b []byte) (units [][]byte) {
	for len(b) > 0 {
		at := bytes.Index(b, startCode)
		if at < 0 {
			return append(units, b)
		}
		end := at
		if at > 0 && b[at-1] == 0 {
			end--
		}
		if end > 0 {
			units = append(units, b[:end])
		}
		b = b[at+len(startCode):]
	}
	return units
}

// add adds a whole unit.
func (a *assembler) add(unit []byte) {
	a.hold()
	a.bytes = append(a.bytes[:a.end()], unit...)
	a.ends = append(a.ends, len(a.bytes))
	a.size += len(unit)
}

// drop forgets the last n units.
func (a *assembler) drop(n int) {
	a.ends = a.ends[:len(a.ends)-n]
	a.bytes = a.bytes[:a.end()]
	a.size = a.end()
}

// units returns the first n units; valid until the next call of any method.
func (a *assembler) units(n int) [][]byte {
	a.frames = a.frames[:0]
	begin := 0
	for _, end := range a.ends[:n] {
		a.frames = append(a.frames, a.bytes[begin:end:end])
		begin = end
	}
	return a.frames
}

// forget drops the first n units and keeps what came behind them.
func (a *assembler) forget(n int) {
	if n == 0 {
		return
	}
	begin := a.ends[n-1]
	a.bytes = a.bytes[:copy(a.bytes, a.bytes[begin:])]
	a.ends = append(a.ends[:0], a.ends[n:]...)
	for i := range a.ends {
		a.ends[i] -= begin
	}
	a.size = a.end()
}

// fits reports whether the units are within bounds, the first n left out.
func (a *assembler) fits(n int) bool {
	without := 0
	if n > 0 {
		without = a.ends[n-1]
	}
	return len(a.ends)-n <= a.maxUnits && a.size-without <= a.maxBytes
}
