package rtsp

import (
	"slices"
	"sync"
)

// Payloads is memory for the samples of all cameras that share it. What is used
// again is no garbage: at half a megabyte a second and camera, collecting it
// would be the largest part of what the recorder itself does.
type Payloads struct {
	mu   sync.Mutex
	free [len(payloadSizes)][][]byte
	held int // bytes that are free
}

// maxFreePayloads bounds the memory that waits to be used again: some of what
// all cameras of a large server send in a third of a second, since what a sync
// sets free comes all at once. With half of that a quarter of the payloads were
// garbage, and the memory that a server takes was the same.
const maxFreePayloads = 32 << 20

// payloadSizes are the sizes of the runtime's own allocations, of which nothing
// is wasted. Larger payloads, and smaller ones, are not kept.
var payloadSizes = [...]int{
	1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192,
	9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
	40 << 10, 48 << 10, 56 << 10, 64 << 10, 72 << 10, 80 << 10, 88 << 10, 96 << 10, 104 << 10, 112 << 10, 120 << 10, 128 << 10,
	144 << 10, 160 << 10, 176 << 10, 192 << 10, 224 << 10, 256 << 10, 320 << 10, 384 << 10, 448 << 10, 512 << 10,
}

// NewPayloads returns none.
func NewPayloads() *Payloads { return &Payloads{} }

// take returns an empty slice with room for n bytes; nil if they are not of a
// size that is kept.
func (p *Payloads) take(n int) []byte {
	if p == nil || n < payloadSizes[0]/2 || n > payloadSizes[len(payloadSizes)-1] {
		return nil
	}
	i, _ := slices.BinarySearch(payloadSizes[:], n)
	p.mu.Lock()
	defer p.mu.Unlock()
	// The next larger one will do: what is free of one size is rare of another.
	for j := i; j < min(i+2, len(p.free)); j++ {
		if list := p.free[j]; len(list) > 0 {
			b := list[len(list)-1]
			list[len(list)-1] = nil
			p.free[j] = list[:len(list)-1]
			p.held -= cap(b)
			return b[:0]
		}
	}
	return make([]byte, 0, payloadSizes[i])
}

// give takes memory back.
func (p *Payloads) give(b []byte) {
	i, ok := slices.BinarySearch(payloadSizes[:], cap(b))
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held+cap(b) > maxFreePayloads {
		return
	}
	p.held += cap(b)
	p.free[i] = append(p.free[i], b)
}
