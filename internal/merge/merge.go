// Package merge brings footage home (port 5210): what a failover server
// recorded for another goes to the recording server it belongs to, and is
// deleted where it was made once it is durable there.
//
// The failover server connects and offers each segment with its size and hash;
// home says from which byte on it lacks it. What was sent is sealed (verified,
// made durable, taken into the store) and answered with a receipt that names
// home's store by its incarnation. After a grace the failover server asks home
// to read the segment back and confirm it, and only then deletes its own copy.
// Nothing of this is remembered on either side: a segment that still lies on
// the failover server's disk is simply offered again, and what home has already
// is answered with its receipt at once. So a lost message, a crash or a second
// session anywhere changes nothing.
package merge

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"time"

	"understudy"
	"understudy/internal/wire"
)

// Bounds of the protocol.
const (
	version    = 1
	maxMessage = 16 << 10
	maxChunk   = 256 << 10
	// maxSegment is what a minute of video could have at the very most.
	maxSegment = 4 << 30
	// patience bounds the wait for one message of the other side. Sealing reads a
	// segment back and syncs it, which a busy disk may take long for.
	patience = 2 * time.Minute
	attempts = 3 // that a segment gets whose bytes arrive damaged
)

// message is one JSON frame of the protocol; exactly one field is set.
type message struct {
	Hello     *hello   `json:"hello,omitempty"`     // sender: first
	Welcome   *welcome `json:"welcome,omitempty"`   // home: answer to hello
	Offer     *object  `json:"offer,omitempty"`     // sender: here is a segment
	Want      *want    `json:"want,omitempty"`      // home: send it from here on
	Seal      *object  `json:"seal,omitempty"`      // sender: that was all of it
	Receipt   *object  `json:"receipt,omitempty"`   // home: it is durable here
	Confirm   *object  `json:"confirm,omitempty"`   // sender: is it still?
	Confirmed *object  `json:"confirmed,omitempty"` // home: read back, and it is
	Refusal   *refusal `json:"refusal,omitempty"`   // home: no
}

type hello struct {
	Version int `json:"version"`
}

type welcome struct {
	Version     int    `json:"version"`
	Incarnation string `json:"incarnation"`
}

// object names a segment by its content. Receipts and what follows them name
// home's store too.
type object struct {
	Segment     understudy.SegmentID `json:"segment"`
	Size        int64                `json:"size"`
	SHA256      digest               `json:"sha256"`
	Incarnation string               `json:"incarnation,omitempty"`
}

type want struct {
	Offset int64 `json:"offset"`
}

type refusal struct {
	Code   understudy.Code `json:"code"`
	Reason string          `json:"reason"`
	Again  bool            `json:"again,omitempty"` // offer it again at once
}

// digest is a SHA-256, as hexadecimal digits in JSON.
type digest [32]byte

// MarshalText returns 64 hexadecimal digits.
func (d digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText is the inverse of MarshalText.
func (d *digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return understudy.Errorf(understudy.CodeInvalid, "a SHA-256 is 64 hexadecimal digits, found %d", len(text))
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "a SHA-256 is 64 hexadecimal digits: %w", err)
	}
	return nil
}

// link is a connection with a bound on each wait.
type link struct{ conn net.Conn }

// newLink returns a link that fails at once when ctx ends; call free when done.
func newLink(ctx context.Context, conn net.Conn) (l link, free func() bool) {
	return link{conn}, context.AfterFunc(ctx, func() { conn.Close() })
}

func (l link) send(m message) error {
	l.extend()
	return wire.Write(l.conn, m)
}

func (l link) sendData(data []byte) error {
	l.extend()
	return wire.WriteData(l.conn, data)
}

// receive returns io.EOF itself when the other side ended the session between two messages.
func (l link) receive() (message, error) {
	l.extend()
	var m message
	err := wire.Read(l.conn, maxMessage, &m)
	return m, err
}

func (l link) receiveData(buffer []byte) (int, error) {
	l.extend()
	return wire.ReadData(l.conn, buffer)
}

// extend ignores failures: a connection on which no deadline can be set fails at its next use.
func (l link) extend() { _ = l.conn.SetDeadline(time.Now().Add(patience)) }

// ended makes one error of how a session ended: ctx's when that is the reason,
// since then the connection's own error says nothing.
func ended(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF):
		return understudy.Errorf(understudy.CodeUnavailable, "the other side ended the session before it was complete: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func unexpected(waitedFor string) error {
	return understudy.Errorf(understudy.CodeInvalid, "expected %s, and the other side sent another message; both servers need versions that speak merge protocol %d", waitedFor, version)
}
