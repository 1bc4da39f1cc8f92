package fmp4_test

import (
	"fmt"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
)

// retimed returns the pictures of a clip, one each distance, captured a little
// too early or too late, from a moment on as a network has it.
func retimed(samples []fmp4.TimedSample, distance time.Duration, uneven func(k int) time.Duration) []fmp4.TimedSample {
	pictures := only(1, samples)
	for k := range pictures {
		moved := *pictures[k].Sample
		moved.At = fmp4test.Start.Add(time.Duration(k)*distance + uneven(k))
		moved.Offset = moved.Offset / (100 * time.Millisecond) * distance // the clip has ten a second
		pictures[k].Sample = &moved
	}
	for k := range pictures {
		pictures[k].Duration = distance
		if k+1 < len(pictures) {
			pictures[k].Duration = pictures[k+1].At.Sub(pictures[k].At)
		}
	}
	return pictures
}

// A player that counts in frames finds each picture at its own place, although
// the next holder's frames come at another phase and some milliseconds early or late.
func TestASeamIsCleanForPlayers(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 3)
	for _, fps := range []int{10, 25} {
		distance := time.Second / time.Duration(fps)
		for _, hole := range []time.Duration{distance / 2, distance*7 + distance/2, distance*13 + distance*49/100, 3*time.Second + 3*time.Millisecond} {
			t.Run(fmt.Sprintf("%dfps/hole of %v", fps, hole), func(t *testing.T) {
				t.Parallel()
				all := retimed(samples, distance, func(k int) time.Duration { return time.Duration(k*7919%5-2) * time.Millisecond })
				cutAt := 0
				for k := len(all) / 3; cutAt == 0; k++ {
					if all[k].Key {
						cutAt = k
					}
				}
				end := all[cutAt-4].At.Sub(fmp4test.Start) + 1
				later := append([]fmp4.TimedSample(nil), all[cutAt:]...)
				for i := range later {
					moved := *later[i].Sample
					moved.At = moved.At.Add(hole)
					later[i].Sample = &moved
				}
				files := []file{record(t, "rec1", 1, 0, tracks[:1], between(all, 0, end)), record(t, "fo1", 2, 0, tracks[:1], later)}
				b := compose(t, files, understudy.Join("rec1", []understudy.Segment{files[0].Segment, files[1].Segment}))
				probe(t, b)
			})
		}
	}
}
