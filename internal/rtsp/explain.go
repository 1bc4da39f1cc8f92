package rtsp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"understudy"
)

// fault is a sentence for people whose cause goes to the log only.
func fault(code understudy.Code, cause error, format string, args ...any) *understudy.Error {
	e := understudy.Errorf(code, format, args...)
	e.Err = cause
	return e
}

// explain makes one sentence of what ended a session: what the camera did, and
// what to do about it.
func explain(err error, c Config) error {
	if known, ok := errors.AsType[*understudy.Error](err); ok {
		return known
	}
	if answer, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err); ok {
		return explainStatus(answer, c)
	}
	if auth, ok := errors.AsType[liberrors.ErrClientAuthSetup](err); ok {
		return fault(understudy.CodeUnauthenticated, auth,
			"camera %s wants authentication (401) in no way that is known here: switch on digest authentication there", c.URL)
	}
	if invalid := describesBadly(err); invalid != nil {
		return fault(understudy.CodeInvalid, invalid,
			"camera %s answers, but not with a description of a stream that can be understood: see whether its URL is that of a video stream", c.URL)
	}
	return explainConnection(err, c)
}

func explainStatus(answer liberrors.ErrClientBadStatusCode, c Config) error {
	switch answer.Code {
	case base.StatusUnauthorized:
		if c.Username == "" {
			return fault(understudy.CodeUnauthenticated, answer, "camera %s wants a user name and password (401), and none is set: set them", c.URL)
		}
		return fault(understudy.CodeUnauthenticated, answer, "camera %s refuses user %q with the password that is set (401): correct them", c.URL, c.Username)
	case base.StatusForbidden:
		return fault(understudy.CodeForbidden, answer, "camera %s forbids user %q this stream (403): give the user the right there, or wait until one of its viewers leaves", c.URL, c.Username)
	case base.StatusNotFound:
		return fault(understudy.CodeNotFound, answer, "camera %s has no stream of that path (404): correct its URL", c.URL)
	case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
		return fault(understudy.CodeUnavailable, answer,
			"camera %s has no session left (%d): it is tried again until one ends; close other viewers, or allow it more sessions", c.URL, answer.Code)
	case base.StatusUnsupportedTransport:
		return fault(understudy.CodeInvalid, answer, "camera %s does not send over %s (461): set its transport to the other one", c.URL, c.transport())
	}
	return fault(understudy.CodeUnavailable, answer, "camera %s refuses the stream with status %d", c.URL, answer.Code)
}

func (c Config) transport() understudy.Transport {
	if c.Transport == "" {
		return understudy.TransportTCP
	}
	return c.Transport
}

// describesBadly returns the error if the camera's description was at fault.
func describesBadly(err error) error {
	if sdp, ok := errors.AsType[liberrors.ErrClientSDPInvalid](err); ok {
		return sdp
	}
	if missing, ok := errors.AsType[liberrors.ErrClientContentTypeMissing](err); ok {
		return missing
	}
	if other, ok := errors.AsType[liberrors.ErrClientContentTypeUnsupported](err); ok {
		return other
	}
	return nil
}

func explainConnection(err error, c Config) error {
	host := c.URL
	if u, parseErr := url.Parse(c.URL); parseErr == nil {
		host = u.Host
	}
	say := func(format string, args ...any) error {
		return fault(understudy.CodeUnavailable, err, format, args...)
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, dns := errors.AsType[*net.DNSError](err)
	_, silent := errors.AsType[liberrors.ErrClientRequestTimedOut](err)
	_, tcp := errors.AsType[liberrors.ErrClientTCPTimeout](err)
	_, udp := errors.AsType[liberrors.ErrClientUDPTimeout](err)
	dial, dialing := errors.AsType[*net.OpError](err)
	dialing = dialing && dial.Op == "dial"
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return say("camera %s closed the connection: it is connected again", c.URL)
	case untrusted:
		return say("camera %s shows a certificate that is not trusted here: add the CA that signed it to this machine's trusted ones, or use rtsp://", c.URL)
	case dns:
		return say("the name in camera %s cannot be resolved: correct its URL, or the name server", c.URL)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say("nothing listens at %s (connection refused) for camera %s: see whether it is on, and whether the port is right", host, c.URL)
	case dialing && (errors.Is(err, os.ErrDeadlineExceeded) || dial.Timeout()):
		return say("camera %s does not answer within %s: see whether it is on and can be reached from here", c.URL, dialTimeout)
	case dialing:
		return say("camera %s cannot be reached from here", c.URL)
	case silent:
		return say("camera %s accepts the connection but does not answer within %s: see whether it speaks RTSP on that port, or restart it", c.URL, answerTimeout)
	case tcp || udp:
		return say("camera %s keeps the session but has sent nothing for %s: see whether it has frozen, and over UDP whether packets get through", c.URL, answerTimeout)
	}
	return say("camera %s does not speak RTSP as expected: see whether the URL and port are right: %w", c.URL, err)
}
