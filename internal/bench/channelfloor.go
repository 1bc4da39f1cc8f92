package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy/internal/identity"
)

// pushOrders are those of the floor of Channel: so many bytes to so many connections.
type pushOrders struct {
	Folder      string // of a node
	Connections int
	Bytes       int
}

// push accepts connections over TLS, and sends each of them as many bytes as the takeover had, all at
// once, as soon as the last has come. It is the least that a service channel has to do.
func push(ctx context.Context, o pushOrders, out io.Writer) error {
	node, err := identity.LoadNode(o.Folder)
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }()
	fmt.Fprintln(out, ln.Addr())
	fmt.Fprintln(out, readyLine)
	config := node.ServerTLS()
	connections := make([]net.Conn, o.Connections)
	for n := range connections {
		raw, err := ln.Accept()
		if err != nil {
			return err
		}
		connections[n] = tls.Server(raw, config)
	}
	payload := make([]byte, o.Bytes)
	var handshakes errgroup.Group
	handshakes.SetLimit(dialAtOnce)
	for _, c := range connections {
		handshakes.Go(func() error { _, err := c.Write([]byte{0}); return err })
	}
	if err := handshakes.Wait(); err != nil {
		return err
	}
	time.Sleep(time.Second) // as in the measured run: until all of them wait
	fmt.Fprintln(out, time.Now().UnixNano())
	var group sync.WaitGroup
	for _, c := range connections {
		group.Go(func() { _, _ = c.Write(payload) }) // a client that misses it says so
	}
	group.Wait()
	<-ctx.Done()
	return nil
}

// floor measures the same for the channel's bytes, with nothing else done.
func (b *channelBench) floor(ctx context.Context) error {
	for _, c := range b.clients {
		c.close()
	}
	if b.result.Told == 0 {
		return nil
	}
	b.Say("the same bytes without a channel")
	trust, err := identity.UserTLS(b.site.CA)
	if err != nil {
		return err
	}
	size := int(b.result.Bytes) / b.result.Told
	p, said, err := start(ctx, "push", pushOrders{Folder: filepath.Join(b.dir, string(benchStandby)), Connections: b.Clients, Bytes: size})
	if err != nil {
		return err
	}
	heard, err := b.receiveAll(ctx, said[0], trust, size)
	if err == nil && p.output.Scan() {
		var began int64
		if began, err = strconv.ParseInt(p.output.Text(), 10, 64); err == nil {
			times := make([]time.Duration, len(heard))
			for n, at := range heard {
				times[n] = at.Sub(time.Unix(0, began))
			}
			b.result.Floor = spreadOf(times)
		}
	}
	return errors.Join(err, p.end())
}

// receiveAll returns when each connection had all its bytes.
func (b *channelBench) receiveAll(ctx context.Context, address string, trust *tls.Config, size int) ([]time.Time, error) {
	heard := make([]time.Time, b.Clients)
	config := trust.Clone()
	config.ServerName = "127.0.0.1"
	slots := make(chan struct{}, dialAtOnce)
	group, ctx := errgroup.WithContext(ctx)
	for n := range heard {
		slots <- struct{}{}
		group.Go(func() error {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			<-slots
			if err != nil {
				return err
			}
			conn := tls.Client(c, config)
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
				return err
			}
			if _, err := io.CopyN(io.Discard, conn, int64(size)+1); err != nil {
				return err
			}
			heard[n] = time.Now()
			return nil
		})
	}
	return heard, group.Wait()
}
