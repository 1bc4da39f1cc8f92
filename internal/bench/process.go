package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"understudy"
	"understudy/internal/site"
)

// clockTicks is USER_HZ, in which Linux counts processor time for programs.
const clockTicks = 100

// process is a part of a benchmark that runs by itself: this very program. It
// ends when its standard input does, so none is left behind.
type process struct {
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Scanner
}

// start starts a part, gives it its orders, and waits until it says that it is ready.
func start(ctx context.Context, name string, orders any) (_ *process, said []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	content, err := json.Marshal(orders)
	if err != nil {
		return nil, nil, err
	}
	p := &process{command: exec.CommandContext(ctx, self, "bench", "part", name)}
	p.command.Stderr = os.Stderr
	if p.input, err = p.command.StdinPipe(); err != nil {
		return nil, nil, err
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = p.end()
		}
	}()
	if _, err := p.input.Write(append(content, '\n')); err != nil {
		return nil, nil, err
	}
	p.output = bufio.NewScanner(output)
	for p.output.Scan() {
		if p.output.Text() == readyLine {
			return p, said, nil
		}
		said = append(said, p.output.Text())
	}
	return nil, nil, understudy.Errorf(understudy.CodeUnavailable, "the %s of the benchmark ended before they were ready; what they said is above", name)
}

// end lets the part finish and waits for it.
func (p *process) end() error {
	p.input.Close()
	return p.command.Wait()
}

// readyLine is what a part prints when it does what it is there for.
const readyLine = "ready"

// usage is what a process has used.
type usage struct {
	at  time.Time
	cpu time.Duration // user and system, of all its threads
	rss int64         // bytes, now
}

func (p *process) usage() (usage, error) {
	proc := fmt.Sprintf("/proc/%d/", p.command.Process.Pid)
	stat, err := os.ReadFile(proc + "stat")
	if err != nil {
		return usage{}, understudy.Errorf(understudy.CodeUnavailable, "a part of the benchmark has ended, or this is not Linux: %w", err)
	}
	u := usage{at: time.Now()}
	// The name, in parentheses, may hold anything; what follows begins with the state, field 3.
	fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+1:])
	if len(fields) < 13 {
		return usage{}, understudy.Errorf(understudy.CodeInternal, "/proc/PID/stat has %d fields behind the name, 13 and more are expected", len(fields))
	}
	for _, field := range fields[11:13] { // utime, stime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return usage{}, err
		}
		u.cpu += time.Duration(ticks) * time.Second / clockTicks
	}
	u.rss, err = site.Resident(p.command.Process.Pid)
	return u, err
}

// measured is what a part used in a window.
type measured struct {
	from, to time.Time
	cpu      time.Duration
	rss      int64 // the most, of a sample each second
}

// measure watches a part for so long, after it has settled.
func (p *process) measure(ctx context.Context, settle, window time.Duration) (m measured, err error) {
	if err := sleep(ctx, settle); err != nil {
		return m, err
	}
	before, err := p.usage()
	if err != nil {
		return m, err
	}
	for now := before; ; {
		left := window - now.at.Sub(before.at)
		if left <= 0 {
			return measured{before.at, now.at, now.cpu - before.cpu, m.rss}, nil
		}
		if err := sleep(ctx, min(left, time.Second)); err != nil {
			return m, err
		}
		if now, err = p.usage(); err != nil {
			return m, err
		}
		m.rss = max(m.rss, now.rss)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
