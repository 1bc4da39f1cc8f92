package main

import (
	"encoding/json"

	"understudy"
	"understudy/internal/identity"
)

// headFile is the end of the log as this management server knows it, sealed in the authority's folder.
const headFile = "audit-head"

// keptHead is what is in it.
type keptHead struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// auditHead keeps the end of the log outside of the database.
type auditHead struct{ node *identity.Node }

func (a auditHead) Head() (seq uint64, hash string, err error) {
	text, err := a.node.OpenFile(headFile)
	if err != nil {
		if understudy.CodeOf(err) == understudy.CodeNotFound {
			err = nil // none was kept yet, or an operator has put it away
		}
		return 0, "", err
	}
	var h keptHead
	if err := json.Unmarshal(text, &h); err != nil {
		return 0, "", understudy.Errorf(understudy.CodeInvalid, "the end of the log that was kept cannot be read: %w", err)
	}
	return h.Seq, h.Hash, nil
}

func (a auditHead) KeepHead(seq uint64, hash string) error {
	text, err := json.Marshal(keptHead{seq, hash})
	if err != nil {
		return err
	}
	return a.node.SealFile(headFile, text)
}
