package main

import (
	"os"
	"path/filepath"
	"testing"

	"understudy"
	"understudy/client"
)

// What one command keeps the next one finds, of the same session only, and
// nobody else can read.
func TestMemoryIsOfOneSession(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("UNDERSTUDY_SESSION", filepath.Join(dir, "session.json"))
	of := func(token understudy.Secret) memory {
		t.Helper()
		m, err := session{Token: token}.memory()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	mine := of("a")
	if _, ok := mine.Recall(); ok {
		t.Error("there was nothing to recall")
	}
	for seq := range uint64(2) { // the second replaces the first
		mine.Keep(client.Known{Site: understudy.Site{Seq: seq + 1}, Token: understudy.MediaToken{Token: "media"}})
	}
	if known, ok := of("a").Recall(); !ok || known.Site.Seq != 2 || known.Token.Token != "media" {
		t.Errorf("recalled %+v, %t", known, ok)
	}
	if known, ok := of("b").Recall(); ok {
		t.Errorf("another session recalls %+v", known)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files: %v", len(entries), err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %s: %v", entries[0].Name(), info.Mode(), err)
	}
	if err := os.WriteFile(mine.path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := mine.Recall(); ok {
		t.Error("what is damaged was recalled")
	}
}
