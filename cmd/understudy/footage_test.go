package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy/internal/config"
	"understudy/internal/storage"
)

// What is configured reaches the store, the archive included; that it is away now keeps nobody from starting.
func TestTheStoreIsAsConfigured(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("a-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Storage{Folders: []config.Folder{{Dir: filepath.Join(dir, "a"), MinFree: 1}, {Dir: filepath.Join(dir, "b"), MinFree: 1}},
		Archive: config.Archive{Endpoint: "https://127.0.0.1:1", Bucket: "footage", Prefix: "site1", AccessKeyFile: key, SecretKeyFile: key}}
	s, err := openStore(t.Context(), c, storage.Config{Server: "rec1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	state := s.State()
	if len(state.Folders) != 2 || state.Archive == nil || state.Archive.Where != "https://127.0.0.1:1/footage/site1" {
		t.Errorf("the state is %+v, %+v", state, state.Archive)
	}
	c.Archive.SecretKeyFile = filepath.Join(dir, "nothing")
	if _, err := openStore(t.Context(), c, storage.Config{Server: "rec1"}); err == nil || !strings.Contains(err.Error(), "secret_key_file") {
		t.Errorf("without its secret key: %v", err)
	}
}
