package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// disk is the disk that a server's footage lies on: one in memory, mounted
// through FUSE by a process of its own (tools/fusedisk), which fails, is slow,
// hangs and loses power as it is told.
type disk struct {
	dir  string
	cmd  *exec.Cmd
	tell io.WriteCloser
	hear *bufio.Scanner
}

// mountDisk mounts an empty disk in a folder.
func mountDisk(program, dir string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &disk{dir: dir, cmd: exec.Command(program, dir)}
	d.cmd.Stderr = os.Stderr
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if d.tell, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.hear = bufio.NewScanner(out)
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	if !d.hear.Scan() {
		return nil, errors.Join(fmt.Errorf("no disk could be mounted on %s (is /dev/fuse there?)", dir), d.cmd.Wait())
	}
	return d, nil
}

// do tells the disk what to do, such as "fail EIO", and waits until it does.
func (d *disk) do(what string) error {
	if _, err := io.WriteString(d.tell, what+"\n"); err != nil {
		return fmt.Errorf("the disk of %s is gone: %w", d.dir, err)
	}
	if !d.hear.Scan() {
		return fmt.Errorf("the disk of %s did not do %q", d.dir, what)
	}
	return nil
}

// close takes the disk away; nobody has it open.
func (d *disk) close() error {
	return errors.Join(d.do("heal"), d.tell.Close(), d.cmd.Wait())
}

// save copies what is on the disk, for somebody to look at later.
func (d *disk) save(to string) error {
	out, err := exec.Command("cp", "-r", d.dir, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the store could not be kept: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
