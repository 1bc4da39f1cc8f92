package packaging_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheProgramTellsSystemd: the real program, started as a unit of Type=notify
// starts it, says that it has started, what it does, that it gets on, and that it
// ends.
func TestTheProgramTellsSystemd(t *testing.T) {
	binary, folder := program(t), t.TempDir()
	config := filepath.Join(folder, "management.yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf("data: %s/data\nhttp: 127.0.0.1:0\nhttps: 127.0.0.1:0\n", folder)), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	command := exec.CommandContext(t.Context(), binary, "management", "--config", config)
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=400000")
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	await := func(what string) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for buffer := make([]byte, 4096); told[what] == 0; {
			n, err := socket.Read(buffer)
			if err != nil {
				_ = command.Process.Kill()
				t.Fatalf("systemd was told %v and not %s: %v\n%s", told, what, errors.Join(err, command.Wait()), &said)
			}
			told[string(buffer[:n])]++
		}
	}
	await("READY=1")
	await("STATUS=answers for 0 cameras and 0 servers")
	told["WATCHDOG=1"] = 0
	await("WATCHDOG=1")
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await("STOPPING=1")
	if err := command.Wait(); err != nil {
		t.Errorf("a planned stop is no failure: %v\n%s", err, &said)
	}
}
