package site

import (
	"fmt"
	"os"
	"strings"

	"understudy"
)

// Resident returns how many bytes of memory a process has now, as Linux counts
// them (VmRSS of /proc/PID/status).
func Resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, understudy.Errorf(understudy.CodeUnavailable, "a process that is measured has ended, or this is not Linux: %w", err)
	}
	return residentOf(string(status))
}

// residentOf reads the line "VmRSS:     123 kB" of a process's status.
func residentOf(status string) (int64, error) {
	for line := range strings.Lines(status) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, understudy.Errorf(understudy.CodeInternal, "expected a line VmRSS in the status of a process, found none: %.100q", status)
}
