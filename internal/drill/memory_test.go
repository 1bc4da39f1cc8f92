package drill

import "testing"

func TestResidentOf(t *testing.T) {
	for _, c := range []struct {
		status string
		want   float64
	}{
		{"Name:\tunderstudy\nVmPeak:\t 4096 kB\nVmRSS:\t    2560 kB\nThreads:\t3\n", 2.5},
		{"Name:\tVmRSS: 7 kB\n", 0},
		{"", 0},
	} {
		if got := residentOf(c.status); got != c.want {
			t.Errorf("of %q %v MiB, want %v", c.status, got, c.want)
		}
	}
}
