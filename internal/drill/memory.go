package drill

import (
	"fmt"
	"os"
	"strings"

	"understudy/internal/site"
)

// resident returns how many MiB of memory a process has, 0 where the system does
// not tell: the drill measures failover, and passes without this figure.
func resident(p *site.Process) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0
	}
	return residentOf(string(status))
}

// residentOf reads the line "VmRSS:     123 kB" of a process's status.
func residentOf(status string) float64 {
	for line := range strings.Lines(status) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); n == 1 {
			return float64(kilobytes) / 1024
		}
	}
	return 0
}
