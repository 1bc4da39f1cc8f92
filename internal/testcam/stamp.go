package testcam

import "time"

// Stamp is what each access unit of a test camera carries.
type Stamp struct {
	Camera string
	Frame  uint64    // grows by one with each frame
	At     time.Time // capture time
}

// ParseStamp finds the stamp in a sample's payload (NAL units with 4-byte lengths).
func ParseStamp(payload []byte) (Stamp, bool) { return Stamp{}, false }
