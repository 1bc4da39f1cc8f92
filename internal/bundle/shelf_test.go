package bundle

import (
	"testing"
	"time"

	"understudy"
)

// A bundle is taken if its number or its date is higher than any before had. So
// one that was put away is never taken again, and a database that was restored,
// or a clock that went back, keeps no new one out.
func TestOlderBundleIsRefused(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 5, n, 0, 0, 0, 0, time.UTC) }
	made := func(seq uint64, made int) understudy.Bundle {
		return understudy.Bundle{Home: "rec-1", Seq: seq, Made: day(made)}
	}
	var k Kept
	for _, step := range []struct {
		name  string
		b     understudy.Bundle
		taken bool
	}{
		{"the first", made(10, 5), true},
		{"the same again", made(10, 5), true},
		{"an older one", made(9, 4), false},
		{"a newer one", made(12, 6), true},
		{"after a restored database: a lower number, a later date", made(7, 8), true},
		{"the one before it, again", made(12, 6), false},
		{"after a clock that went back: a higher number, an earlier date", made(13, 2), true},
		{"the one before it, again", made(7, 8), false},
	} {
		next, err := k.take(step.b)
		if taken := err == nil && next.Bundle.Seq == step.b.Seq; taken != step.taken {
			t.Errorf("%s: taken %v: %v", step.name, taken, err)
		}
		k = next
	}
}
