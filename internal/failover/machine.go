package failover

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"time"

	"understudy"
	"understudy/internal/recording"
)

const (
	// assumedCost is the processor time that recording costs, in cores a Mbit/s,
	// until it was measured here: docs/benchmarks.md has 1.85 ms for a second of 4 Mbit/s.
	assumedCost = 0.0005
	// measurable is the bit rate from which this process's own cost says something.
	measurable = 20e6
	tickHertz  = 100 // of /proc, whatever the kernel's own
)

// machine is what this machine can still do.
type machine struct {
	rings int64 // bytes of memory for what is mirrored

	cores, free float64 // free: not used in the time before the last look
	cost        float64 // cores a Mbit/s

	looked      time.Time
	busy, total float64 // of all processors, since they were switched on
	own         float64 // seconds of this process
}

func newMachine() machine {
	m := machine{rings: recording.RingsBytes, cores: float64(runtime.NumCPU()), cost: assumedCost}
	m.free = m.cores
	m.busy, m.total = processors()
	m.own, m.looked = ownTime(), time.Now()
	return m
}

// look measures what was used since the last look.
func (m *machine) look(own understudy.State) {
	busy, total := processors()
	if total > m.total {
		m.free = m.cores * (1 - (busy-m.busy)/(total-m.total))
	}
	var bits float64
	for _, c := range own.Cameras {
		bits += float64(c.BitsPerSecond)
	}
	used, passed := ownTime(), time.Since(m.looked).Seconds()
	if bits >= measurable && passed > 1 && used > m.own {
		m.cost = (used - m.own) / passed / (bits / 1e6)
	}
	m.busy, m.total, m.own, m.looked = busy, total, used, time.Now()
}

// processors returns the busy and all time of the processors, in ticks; 0 where
// the system does not tell (proc(5), /proc/stat).
func processors() (busy, total float64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for i, field := range bytes.Fields(line) {
		n, err := strconv.ParseFloat(string(field), 64)
		if err != nil || i > 8 { // guest time is in user time already
			continue
		}
		total += n
		if i != 4 && i != 5 { // idle, and idle for a disk
			busy += n
		}
	}
	return busy, total
}

// ownTime returns the processor seconds that this process has used (proc(5), /proc/pid/stat).
func ownTime() float64 {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // the name before it may hold anything
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(string(fields[11]), 64)
	system, _ := strconv.ParseFloat(string(fields[12]), 64)
	return (user + system) / tickHertz
}
