//go:build !linux

package fs

import "slices"

// WriteVector joins the parts where the system has no vectored write for files.
func (f systemFile) WriteVector(parts [][]byte) (int, error) { return f.Write(slices.Concat(parts...)) }
