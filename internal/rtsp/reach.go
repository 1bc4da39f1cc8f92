package rtsp

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"understudy"
)

// Reach asks a camera what it can do (OPTIONS, RFC 2326 §10.1), without the password
// and without taking one of its sessions. It returns nil if somebody answers at its
// address, whatever the answer is: then this end of the network works.
func Reach(ctx context.Context, c Config) error {
	c.Username, c.Password = "", ""
	p, err := newPull(c, nil)
	if err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	defer p.client.Close()
	defer context.AfterFunc(ctx, p.client.Close)()
	_, err = p.client.Options(p.url)
	switch {
	case ctx.Err() != nil && err != nil:
		return fault(understudy.CodeUnavailable, ctx.Err(), "camera %s did not answer in time", c.URL)
	case silent(err):
		return explain(err, c)
	}
	return nil
}

// silent reports whether an error is nobody's answer.
func silent(err error) bool {
	_, name := errors.AsType[*net.DNSError](err)
	_, late := errors.AsType[liberrors.ErrClientRequestTimedOut](err)
	dial, dialing := errors.AsType[*net.OpError](err)
	dialing = dialing && dial.Op == "dial" && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET)
	return name || late || dialing || errors.Is(err, os.ErrDeadlineExceeded)
}
