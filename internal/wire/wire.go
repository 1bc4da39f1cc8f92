// Package wire frames what servers say to each other on the state and merge
// ports.
//
// A frame is one byte of kind ('J' for JSON, 'D' for raw data), the length of
// what follows as four bytes, most significant first, and that many bytes. The
// reader names the kind it expects and the length it accepts, so that a peer
// can neither confuse data with commands nor make the reader grow.
package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"

	"understudy"
)

const (
	kindJSON   = 'J'
	kindData   = 'D'
	headerSize = 5
)

// Write sends v as one JSON frame, in one call of w.Write. CodeInvalid if v
// cannot be marshalled or does not fit a frame (4 GiB).
func Write(w io.Writer, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "a %T cannot be sent as JSON: %w", v, err)
	}
	return write(w, kindJSON, payload)
}

// WriteData sends data as one raw frame, in one call of w.Write.
func WriteData(w io.Writer, data []byte) error { return write(w, kindData, data) }

// DataRoom is how many bytes FillData needs in front of the data.
const DataRoom = headerSize

// FillData makes a raw frame of frame[DataRoom:] in place, without a copy, for
// one call of Write.
func FillData(frame []byte) []byte {
	frame[0] = kindData
	binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-headerSize))
	return frame
}

func write(w io.Writer, kind byte, payload []byte) error {
	if len(payload) > math.MaxUint32 {
		return understudy.Errorf(understudy.CodeInvalid, "a frame holds up to 4 GiB, and %d bytes were to be sent", len(payload))
	}
	frame := make([]byte, headerSize, headerSize+len(payload))
	frame[0] = kind
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	if _, err := w.Write(append(frame, payload...)); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the connection was lost while a frame was sent: %w", err)
	}
	return nil
}

// Read reads one JSON frame of at most limit bytes into v. Names that v does
// not know are ignored, so that a newer peer may say more. It returns io.EOF
// itself when r ends before a frame begins, CodeUnavailable when it ends or
// fails inside one, and CodeInvalid for anything that is not the frame
// expected, after which the connection is of no more use.
func Read(r io.Reader, limit int, v any) error {
	size, err := readHeader(r, kindJSON, limit)
	if err != nil {
		return err
	}
	// Memory grows with what arrives, not with what the header claims.
	var payload bytes.Buffer
	if _, err := io.CopyN(&payload, r, int64(size)); err != nil {
		return lost(err)
	}
	if err := json.Unmarshal(payload.Bytes(), v); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "expected a frame with a %T as JSON: %w", v, err)
	}
	return nil
}

// ReadData reads one raw frame into buffer and returns its length. A frame
// that is larger than buffer is CodeInvalid; other errors are as of Read.
func ReadData(r io.Reader, buffer []byte) (int, error) {
	size, err := readHeader(r, kindData, len(buffer))
	if err != nil {
		return 0, err
	}
	if n, err := io.ReadFull(r, buffer[:size]); err != nil {
		return n, lost(err)
	}
	return size, nil
}

func readHeader(r io.Reader, kind byte, limit int) (size int, err error) {
	var header [headerSize]byte
	switch _, err := io.ReadFull(r, header[:]); {
	case err == io.EOF: //nolint:errorlint // a clean end is io.EOF itself; inside a frame it is ErrUnexpectedEOF
		return 0, io.EOF
	case err != nil:
		return 0, lost(err)
	case header[0] != kind:
		return 0, understudy.Errorf(understudy.CodeInvalid, "expected a frame of kind %q, found %q", kind, header[0])
	}
	length := binary.BigEndian.Uint32(header[1:])
	if uint64(length) > uint64(limit) {
		return 0, understudy.Errorf(understudy.CodeInvalid, "a frame here has up to %d bytes, and one of %d was announced", limit, length)
	}
	return int(length), nil
}

func lost(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the connection was lost inside a frame: %w", err)
}
