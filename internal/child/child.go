// Package child starts processes that shall not outlive this one, however this
// one ends.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts c, which gets the signal when this process ends. Ended is closed
// when c has ended, and c waited for. Errors are those of c.Start.
func Start(c *exec.Cmd, atEnd syscall.Signal) (ended <-chan struct{}, err error) {
	gone, started := make(chan struct{}), make(chan error, 1)
	go func() {
		_ = run(c, atEnd, started) // how it ended is in c.ProcessState
		close(gone)
	}()
	return gone, <-started
}

// Run starts c as Start does and waits for its end. Errors are those of c.Run.
func Run(c *exec.Cmd, atEnd syscall.Signal) error {
	return run(c, atEnd, make(chan error, 1))
}

// run says on started whether c was started, and waits for its end.
func run(c *exec.Cmd, atEnd syscall.Signal, started chan<- error) error {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = atEnd
	// The kernel sends Pdeathsig when the thread that started a child ends, not
	// the process, and Go ends threads as it likes: this one is held.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.Start()
	started <- err
	if err != nil {
		return err
	}
	return c.Wait()
}
