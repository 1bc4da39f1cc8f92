package main

import (
	"os"
	"strings"
	"testing"

	"understudy"
)

// TestSignOut ends the session everywhere, or says where it goes on.
func TestSignOut(t *testing.T) {
	m := signedInAt(t, "")
	s, err := loadSession()
	if err != nil {
		t.Fatal(err)
	}
	does(t, "", "user", "list")
	does(t, "", "sign-out")
	if _, err := m.service.Identify(t.Context(), s.Token); understudy.CodeOf(err) != understudy.CodeUnauthenticated {
		t.Errorf("the session goes on at the site: %v", err)
	}
	if text := said(t, "", "sign-out"); !strings.Contains(text, "nobody is signed in") {
		t.Errorf("twice: %q", text)
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	does(t, "", "sign-out") // which has ended at the site
	s.Addresses = []string{"https://127.0.0.1:1"}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if text := said(t, "", "sign-out"); !strings.Contains(text, "goes on at the site") {
		t.Errorf("nobody there: %q", text)
	}
	if path, err := sessionPath(); err != nil || exists(path) {
		t.Errorf("what nobody can end at the site is forgotten here all the same: %v", err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
