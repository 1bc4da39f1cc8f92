// Package wire frames what servers say to each other on the state and merge
// ports: a kind, a length, and that many bytes, either JSON or raw data.
package wire

import "io"

// Write sends v as one JSON frame, in one call of w.Write.
func Write(w io.Writer, v any) error { panic("being built") }

// Read reads one JSON frame of at most limit bytes into v. It returns io.EOF when r ends before a frame begins.
func Read(r io.Reader, limit int, v any) error { panic("being built") }

// WriteData sends data as one raw frame.
func WriteData(w io.Writer, data []byte) error { panic("being built") }

// ReadData reads one raw frame into buffer and returns its length.
func ReadData(r io.Reader, buffer []byte) (int, error) { panic("being built") }
