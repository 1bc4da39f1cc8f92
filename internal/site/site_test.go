package site

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"understudy"
)

// A folder that holds a site is refused at once: its setup code was used long ago.
func TestUpInAFolderThatHoldsASite(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, Management), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := Up(ctx, Options{Dir: dir, Binary: "/bin/false", Network: "127.0.0."})
	if understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("brought up with %v", err)
	}
}
