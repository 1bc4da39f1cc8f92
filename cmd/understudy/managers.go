package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"understudy"
	"understudy/internal/identity"
)

// managers is what a member remembers besides its certificate: where the
// management servers were when it joined.
type managers struct {
	Addresses []string `json:"addresses"`
}

// managers are the addresses of the management servers, as they were told last.
func (m membership) managers(node *identity.Node) ([]string, error) {
	if told := node.Trust().Management; len(told) > 0 {
		return told, nil
	}
	text, err := os.ReadFile(filepath.Join(m.Data, "management.json"))
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "where the management servers are could not be read: %w", err)
	}
	var known managers
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "%s/management.json is damaged; restore it, or join again with another data folder and a new token: %w", m.Data, err)
	}
	return known.Addresses, nil
}
