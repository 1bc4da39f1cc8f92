package supervise

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSystemdIsTold is systemd's side of sd_notify(3): a datagram socket. The
// watchdog is fed while the role gets on, and not when it does not.
func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "4000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	told := func() string {
		buffer := make([]byte, 4096)
		n, err := socket.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
	var stuck atomic.Bool
	role := Role{
		Ready: func() (bool, string) { return true, "records 4 of 4 cameras" },
		Alive: func() (bool, string) { return !stuck.Load(), "nothing has become durable" },
		Log:   slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- role.Run(ctx) }()
	for _, want := range []string{"READY=1", "STATUS=records 4 of 4 cameras", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := told(); got != want {
			t.Errorf("systemd was told %q, want %q", got, want)
		}
	}
	stuck.Store(true)
	got := told()
	for got == "WATCHDOG=1" { // fed before it was stuck
		got = told()
	}
	if got != "STATUS=nothing has become durable" {
		t.Errorf("systemd was told %q of a role that does not get on", got)
	}
	cancel()
	if got := told(); got != "STOPPING=1" {
		t.Errorf("a role that does not get on told %q before its end", got)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestWithoutSystemdNobodyIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Role{Log: slog.New(slog.DiscardHandler)}).Run(ctx); err == nil {
		t.Error("it ended before it was told to")
	}
}
