// Package bench measures what the product promises in figures, with real
// processes on this machine. design/ingest.md and docs/benchmarks.md have results.
package bench

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is where and when something was measured.
type Machine struct {
	Machine string    `json:"machine"` // processor, cores, kernel
	Date    time.Time `json:"date"`
}

// ThisMachine describes the machine that runs this.
func ThisMachine() Machine {
	m := runtime.GOOS + "/" + runtime.GOARCH
	if model := firstField("/proc/cpuinfo", "model name"); model != "" {
		m = model
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m += ", Linux " + strings.TrimSpace(string(kernel))
	}
	cores := runtime.NumCPU()
	plural := " cores"
	if cores == 1 {
		plural = " core"
	}
	return Machine{Machine: strconv.Itoa(cores) + plural + ", " + m, Date: time.Now().UTC().Truncate(time.Second)}
}

// firstField returns the value behind "name :" in a file of such lines.
func firstField(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
