package understudy

import (
	"fmt"
	"strings"
	"time"
)

// Capacity is what a failover server may carry at a time: cameras that it
// records, and those whose streams it keeps open as a mirror. What is 0 bounds
// nothing. What it really needs is measured: bit rates as their servers tell
// them, and the room on its own disk.
type Capacity struct {
	Cameras int           `json:"cameras,omitempty" minimum:"0" doc:"Cameras at a time, mirrored ones included; 0 is as many as there are"`
	BitRate int64         `json:"bit_rate,omitempty" minimum:"0" doc:"Bits a second of all cameras together, mirrored ones included; 0 is as many as come"`
	DiskFor time.Duration `json:"disk_for,omitempty" minimum:"0" doc:"How long, in nanoseconds, what it records must find room on its disk; 0 is however long"`
}

// Validate reports the first thing wrong with c.
func (c Capacity) Validate() error {
	if c.Cameras < 0 || c.BitRate < 0 || c.DiskFor < 0 {
		return Errorf(CodeInvalid, "a capacity is in cameras, bits a second and hours of disk, each 0 (no bound) or more, and is %d, %d and %s",
			c.Cameras, c.BitRate, c.DiskFor)
	}
	return nil
}

// String says what the bounds are, for people.
func (c Capacity) String() string {
	var bounds []string
	if c.Cameras > 0 {
		bounds = append(bounds, fmt.Sprintf("%d cameras", c.Cameras))
	}
	if c.BitRate > 0 {
		bounds = append(bounds, Megabits(c.BitRate))
	}
	if c.DiskFor > 0 {
		bounds = append(bounds, fmt.Sprintf("%.4g hours of disk", c.DiskFor.Hours()))
	}
	if bounds == nil {
		return "no bound"
	}
	return strings.Join(bounds, ", ")
}

// Megabits writes a bit rate for people.
func Megabits(bitsPerSecond int64) string {
	return fmt.Sprintf("%.3g Mbit/s", float64(bitsPerSecond)/1e6)
}

// StreamKind says which of a camera's streams is meant.
type StreamKind string

// The streams of a camera.
const (
	StreamMain StreamKind = "main"
	StreamSub  StreamKind = "sub" // a second profile with fewer bits
)
