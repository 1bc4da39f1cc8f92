package child_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"understudy/internal/child"
)

const role = "UNDERSTUDY_TEST_PARENT"

// The main thread never ends, so no test shall run on it.
func init() { runtime.LockOSThread() }

// TestMain is also the parent of TestAChildEndsWithItsParent: it starts a child
// and says its number, and is killed.
func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	c := exec.Command("sleep", "1000")
	c.Stdout = os.Stdout // stays open as long as the child lives
	if _, err := child.Start(c, syscall.SIGKILL); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}

func TestAChildEndsWithItsParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), role+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); line != "started\n" {
		t.Fatalf("the parent says %q, %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The pipe ends when both ends of it have.
	if _, err := io.Copy(io.Discard, said); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
}

func TestAChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	c := exec.CommandContext(t.Context(), "cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var ended <-chan struct{}
	asked := make(chan error)
	thread := make(chan int, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		thread <- syscall.Gettid()
		var err error
		ended, err = child.Start(c, syscall.SIGKILL)
		asked <- err
	}()
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
	task := fmt.Sprintf("/proc/self/task/%d", <-thread)
	for {
		if _, err := os.Stat(task); os.IsNotExist(err) {
			break
		}
		runtime.Gosched()
	}
	if _, err := fmt.Fprintln(in, "here"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "here\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	in.Close()
	<-ended
	if !c.ProcessState.Success() {
		t.Errorf("the child ended with %v", c.ProcessState)
	}
}
