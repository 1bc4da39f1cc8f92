package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wire carries frames between two network interfaces, both ways, and keeps each
// for a while, in order.
type wire struct {
	ends    [2]*os.File
	running sync.WaitGroup
}

// frame is one under way.
type frame struct {
	due   time.Time
	bytes []byte
}

const (
	// wireFrames is how many frames a wire holds each way; more are lost, as on any wire.
	wireFrames = 4096
	// wireFrame is the longest frame: the kernel hands on what it has not cut up yet.
	wireFrame = 64<<10 + 64
)

func layWire(a, b string, delay, jitter time.Duration) (*wire, error) {
	w := &wire{}
	for i, name := range []string{a, b} {
		end, err := openInterface(name)
		if err != nil {
			w.close()
			return nil, err
		}
		w.ends[i] = end
	}
	w.carry(w.ends[0], w.ends[1], delay, jitter)
	w.carry(w.ends[1], w.ends[0], delay, jitter)
	return w, nil
}

// carry passes on from one end to the other until an end is closed.
func (w *wire) carry(from, to *os.File, delay, jitter time.Duration) {
	under := make(chan frame, wireFrames)
	w.running.Go(func() {
		defer close(under)
		buffer := make([]byte, wireFrame)
		var last time.Time
		for {
			n, err := from.Read(buffer)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(time.Millisecond) // the interface is down
				continue
			}
			due := time.Now().Add(delay)
			if jitter > 0 {
				due = due.Add(rand.N(jitter))
			}
			if due.Before(last) {
				due = last
			}
			last = due
			select {
			case under <- frame{due, append([]byte(nil), buffer[:n]...)}:
			default: // lost
			}
		}
	})
	w.running.Go(func() {
		for f := range under {
			time.Sleep(time.Until(f.due))
			_, _ = to.Write(f.bytes) // lost, where the other end is down
		}
	})
}

func (w *wire) close() {
	for _, end := range w.ends {
		if end != nil {
			end.Close()
		}
	}
	w.running.Wait()
}

// openInterface opens an interface for whole frames, with what the kernel has
// yet to do to them (checksums, cutting up) in front of each.
func openInterface(name string) (*os.File, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, fmt.Errorf("frames of %s cannot be read: %w", name, err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}),
	)
	if err != nil {
		return nil, fmt.Errorf("frames of %s cannot be read: %w", name, errors.Join(err, unix.Close(fd)))
	}
	return os.NewFile(uintptr(fd), name), nil
}
