package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"

	"understudy"
)

// unreached says in a sentence why nobody was reached at a host, and what to
// look at. The cause stays within, for those who branch on it.
func unreached(who, host string, err error) *understudy.Error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // it repeats method and address
	}
	say := func(format string, args ...any) *understudy.Error {
		return &understudy.Error{Code: understudy.CodeUnavailable, Message: fmt.Sprintf(format, args...), Err: err}
	}
	var timeout net.Error
	_, otherCA := errors.AsType[*tls.CertificateVerificationError](err)
	dns, noName := errors.AsType[*net.DNSError](err)
	switch {
	case otherCA:
		return say("%s answers at %s with a certificate that is not of this installation; another installation or somebody else may be there: check the address", who, host)
	case noName && dns.IsNotFound:
		return say("%s cannot be found: there is no host %s; check the address", who, dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say("%s does not answer at %s (connection refused); check the address, and whether it runs", who, host)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return say("%s did not answer at %s in time; check the address, the network, and whether it runs", who, host)
	}
	return say("%s could not be asked at %s: %v", who, host, err)
}
