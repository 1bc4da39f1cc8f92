// Package merge brings footage home (port 5210): what a failover server
// recorded for another goes to the recording server it belongs to, and is
// deleted where it was made once it is durable there.
//
// The failover server connects, hands over the notes of its cameras, and offers each segment with its size and hash;
// home says from which byte on it lacks it. What was sent is sealed (verified,
// made durable, taken into the store) and answered with a receipt that names
// home's store by its incarnation. After a grace the failover server asks home
// to read the segment back and confirm it, and only then deletes its own copy.
// Nothing of this must be remembered on either side: a segment that still lies on
// the failover server's disk is simply offered again, and what home has already
// is answered with its receipt at once. So a lost message, a crash or a second
// session anywhere changes nothing, and a Batch runs several at once.
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
	version    = 3
	maxMessage = 64 << 10
	maxChunk   = 1 << 20
	minChunk   = 16 << 10
	maxNotes   = 32 << 10 // of JSON in one message
	maxWatched = 8        // ranges in one message
	// maxSegment is what a minute of video could have at the very most.
	maxSegment = 4 << 30
	// patience bounds the wait for one message of the other side. Sealing reads a
	// segment back and syncs it, which a busy disk may take long for.
	patience = 2 * time.Minute
	attempts = 3 // that a segment gets whose bytes arrive damaged, over all sessions
)

// message is one JSON frame of the protocol; exactly one field is set.
type message struct {
	Hello     *hello            `json:"hello,omitempty"`     // sender: first, and after an answer that took long
	Welcome   *welcome          `json:"welcome,omitempty"`   // home: answer to hello
	Notes     []understudy.Note `json:"notes,omitempty"`     // sender: what was written down beside the footage
	Noted     *noted            `json:"noted,omitempty"`     // home: they are durable here
	Offer     *offer            `json:"offer,omitempty"`     // sender: here is a segment
	Want      *want             `json:"want,omitempty"`      // home: send it from here on
	Seal      *object           `json:"seal,omitempty"`      // sender: that was all of it
	Receipt   *receipt          `json:"receipt,omitempty"`   // home: it is durable here
	Confirm   *confirm          `json:"confirm,omitempty"`   // sender: is it still?
	Confirmed *object           `json:"confirmed,omitempty"` // home: read back, and it is
	Refusal   *refusal          `json:"refusal,omitempty"`   // home: no
}

type hello struct {
	Version int `json:"version"`
}

type welcome struct {
	Version     int    `json:"version"`
	Incarnation string `json:"incarnation"`
}

// noted names home's store, and how many notes of the message it took.
type noted struct {
	Notes       int    `json:"notes"`
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

// offer is an object, when its footage ends, and what is left of the whole
// transfer, this segment included.
type offer struct {
	object
	End  time.Time `json:"end"`
	Left left      `json:"left"`
}

type left struct {
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
}

type want struct {
	Offset int64 `json:"offset"`
}

// receipt also tells which footage of the sender's somebody plays at home.
type receipt struct {
	object
	Watched []Watched `json:"watched,omitempty"`
}

type confirm struct {
	object
	End time.Time `json:"end"`
}

type refusal struct {
	Code   understudy.Code `json:"code"`
	Reason string          `json:"reason"`
	Again  bool            `json:"again,omitempty"` // offer it again at once
	// Quarantined: its bytes failed too often; do not offer it again for now.
	Quarantined bool `json:"quarantined,omitempty"`
	// Expired: retention at home would delete it at once. The sender deletes it
	// if its own clock and settings say so, too.
	Expired bool `json:"expired,omitempty"`
	// Retired: it was at home, and retention deleted it there.
	Retired bool `json:"retired,omitempty"`
}

// Watched is footage that somebody is playing, which comes home first.
type Watched struct {
	Camera understudy.CameraID `json:"camera"`
	From   time.Time           `json:"from"`
	To     time.Time           `json:"to"`
}

func (w Watched) has(s understudy.Segment) bool {
	return w.Camera == s.ID.Camera && s.Start.Before(w.To) && s.End.After(w.From)
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

// sendData sends frame, which has wire.DataRoom bytes of room before its data.
func (l link) sendData(frame []byte) error {
	l.extend()
	if _, err := l.conn.Write(wire.FillData(frame)); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the connection was lost while footage was sent: %w", err)
	}
	return nil
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
