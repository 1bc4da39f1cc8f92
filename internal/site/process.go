package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"understudy"
	"understudy/internal/child"
)

// Process is one server of the site, as an operating system process that can
// really be killed. It is started again with the same arguments.
type Process struct {
	Name string

	command []string
	log     string // path; appended to at each start

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone <-chan struct{} // closed when cmd has ended; how it ended stands in its log
}

// NewProcess returns a process that is not started yet. What it says is
// appended to the log at each start.
func NewProcess(name, log string, command ...string) *Process {
	return &Process{Name: name, command: command, log: log}
}

// Start starts the process; it ends when this one does, however this one ends.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && !closed(p.gone) {
		return understudy.Errorf(understudy.CodeConflict, "%s is running already", p.Name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the log of %s could not be opened: %w", p.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	gone, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "%s could not be started: %w", p.Name, err)
	}
	p.cmd, p.gone = cmd, gone
	return nil
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Running reports whether the process lives; a stopped (SIGSTOP) one does.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil && !closed(p.gone)
}

// Signal sends a signal: SIGKILL, SIGTERM, SIGSTOP or SIGCONT.
func (p *Process) Signal(signal os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || closed(p.gone) {
		return understudy.Errorf(understudy.CodeConflict, "%s is not running", p.Name)
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return understudy.Errorf(understudy.CodeInternal, "%s could not be signalled: %w", p.Name, err)
	}
	return nil
}

// LimitFiles lets the running process write no file beyond so many bytes, as a
// disk that fails would: each write fails with EFBIG, and the process lives.
func (p *Process) LimitFiles(size uint64) error {
	pid := p.PID()
	if pid == 0 {
		return understudy.Errorf(understudy.CodeConflict, "%s is not running", p.Name)
	}
	var limit unix.Rlimit
	err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit)
	if err == nil {
		limit.Cur = min(size, limit.Max) // the hard limit is not ours to raise again
		err = unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil)
	}
	if err != nil {
		return understudy.Errorf(understudy.CodeInternal, "the file size of %s could not be limited: %w", p.Name, err)
	}
	return nil
}

// Gone returns a channel that closes when the running process has ended.
func (p *Process) Gone() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		ended := make(chan struct{})
		close(ended)
		return ended
	}
	return p.gone
}

// PID returns the number of the process; 0 while there is none.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || closed(p.gone) {
		return 0
	}
	return p.cmd.Process.Pid
}

// LastWords returns the end of the process's log, for an error message.
func (p *Process) LastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("(its log cannot be read: %v)", err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// until waits for done to return true, asking every few milliseconds, and says
// what it waited for when ctx ends or a process that must live is gone.
func until(ctx context.Context, what string, needed *Process, done func(context.Context) bool) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if done(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return understudy.Errorf(understudy.CodeUnavailable, "waited for %s in vain: %w", what, context.Cause(ctx))
		case <-needed.Gone():
			return understudy.Errorf(understudy.CodeUnavailable, "%s ended while waiting for %s; its last words:\n%s", needed.Name, what, needed.LastWords())
		case <-ticker.C:
		}
	}
}
