package fs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"understudy/internal/fs"
)

// More parts than one system call takes, empty ones among them, and twice, so
// that the second one goes behind the first.
func TestAVectorIsWrittenAsOneSlice(t *testing.T) {
	var parts [][]byte
	for i := range 3000 {
		parts = append(parts, bytes.Repeat([]byte{byte(i)}, i%7))
	}
	whole := bytes.Join(parts, nil)
	for name, folder := range map[string]fs.FS{"system": fs.System(t.TempDir()), "memory": fs.NewMemory()} {
		t.Run(name, func(t *testing.T) {
			f, err := folder.OpenFile("a", os.O_RDWR|os.O_CREATE)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for range 2 {
				if n, err := f.WriteVector(parts); err != nil || n != len(whole) {
					t.Fatalf("wrote %d of %d bytes: %v", n, len(whole), err)
				}
			}
			if n, err := f.WriteVector(nil); n != 0 || err != nil {
				t.Errorf("nothing is written as %d bytes: %v", n, err)
			}
			got := make([]byte, 2*len(whole))
			if _, err := f.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if !bytes.Equal(got, append(bytes.Clone(whole), whole...)) {
				t.Error("the file is not what the parts are")
			}
		})
	}
}

func TestAVectorWriteFailsAsAWriteDoes(t *testing.T) {
	memory := fs.NewMemory()
	f, err := memory.OpenFile("a", os.O_WRONLY|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	memory.Fail(func(op fs.Op, _ string) error {
		if op == fs.OpWrite {
			return io.ErrClosedPipe
		}
		return nil
	})
	if _, err := f.WriteVector([][]byte{{1}}); err == nil {
		t.Error("a write that was to fail did not")
	}
}
