package site

import "testing"

func TestResidentOf(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tunderstudy\nVmPeak:\t 4096 kB\nVmRSS:\t    2560 kB\nThreads:\t3\n": 2560 << 10,
		"Name:\tVmRSS: 7 kB\n": 0,
		"":                     0,
	} {
		if got, err := residentOf(status); got != want || (err == nil) != (want > 0) {
			t.Errorf("of %q %d bytes and %v, want %d", status, got, err, want)
		}
	}
}
