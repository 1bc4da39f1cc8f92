package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"understudy/client"
)

// memory is the file beside the session that lets a command find its site while
// no management server answers. It is of one session and of no other.
type memory struct {
	path    string
	session string
}

// memoryFile is what is in it.
type memoryFile struct {
	Session string `json:"session"` // SHA-256 of the token that it is of
	client.Known
}

func (s session) memory() (memory, error) {
	path, err := sessionPath()
	sum := sha256.Sum256([]byte(s.Token))
	return memory{strings.TrimSuffix(path, ".json") + ".site.json", hex.EncodeToString(sum[:])}, err
}

// Recall implements client.Memory. What cannot be read is as if it were not there.
func (m memory) Recall() (client.Known, bool) {
	text, err := os.ReadFile(m.path)
	var file memoryFile
	if err != nil || json.Unmarshal(text, &file) != nil || file.Session != m.session {
		return client.Known{}, false
	}
	return file.Known, true
}

// Keep implements client.Memory. It is replaced as a whole, since other commands
// may run; where it cannot be kept, a later run without a management server
// finds nothing, and nothing else is lost.
func (m memory) Keep(k client.Known) {
	text, err := json.Marshal(memoryFile{m.session, k})
	if err != nil {
		return
	}
	file, err := os.CreateTemp(filepath.Dir(m.path), filepath.Base(m.path)+".*") // mode 0600
	if err != nil {
		return
	}
	_, err = file.Write(text)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), m.path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // what is left of it
	}
}
