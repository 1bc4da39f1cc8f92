package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"

	"understudy"
	"understudy/internal/seal"
)

// safe is where an authority's secrets are kept: a file as it is, or one that is sealed
// under a key which lies elsewhere.
type safe struct {
	folder string
	key    *seal.Key // nil: it is not sealed
}

// safeContext binds what is sealed to its purpose.
var safeContext = []byte("understudy authority")

func (s safe) path() string {
	if s.key != nil {
		return filepath.Join(s.folder, "authority.sealed")
	}
	return filepath.Join(s.folder, "authority.json")
}

// openSafe seals what lies open in the folder, if there is a key for it.
func openSafe(folder, keyFile string) (safe, error) {
	open := safe{folder: folder}
	if keyFile == "" {
		sealed := safe{folder: folder, key: &seal.Key{}}.path()
		if _, err := os.Stat(sealed); err == nil {
			return open, understudy.Errorf(understudy.CodeInvalid, "%s is sealed: name the file of its key as key_file in the configuration", sealed)
		}
		return open, nil
	}
	key, err := readKeyFile(keyFile)
	if err != nil {
		return open, err
	}
	sealed := safe{folder: folder, key: &key}
	var file authorityFile
	switch err := open.read(&file); {
	case err != nil && understudy.CodeOf(err) == understudy.CodeNotFound:
		return sealed, nil
	case err != nil:
		return open, err
	}
	if _, err := os.Stat(sealed.path()); err == nil {
		return open, understudy.Errorf(understudy.CodeConflict, "%s and %s are both there; remove the one that is not this site's", open.path(), sealed.path())
	}
	if err := sealed.write(file); err != nil {
		return open, err
	}
	if err := os.Remove(open.path()); err != nil {
		return open, internal("remove "+open.path(), err)
	}
	return sealed, syncFolder(folder)
}

// read is CodeNotFound when nothing is kept yet.
func (s safe) read(f *authorityFile) error {
	if s.key == nil {
		return readJSON(s.path(), f)
	}
	data, err := readFile(s.path())
	if err != nil {
		return err
	}
	plain, err := s.key.Open(data, safeContext)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "%s does not open with the key of key_file: it is another site's, or damaged: %w", s.path(), err)
	}
	if err := json.Unmarshal(plain, f); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "%s is damaged, restore it from a backup: %w", s.path(), err)
	}
	return nil
}

func (s safe) write(f authorityFile) error {
	if s.key == nil {
		return writeJSON(s.path(), f)
	}
	plain, err := json.Marshal(f)
	if err != nil {
		return internal("encode "+s.path(), err)
	}
	return writeFile(s.path(), s.key.Seal(plain, safeContext))
}

// NewKeyFile returns what a key file holds: 32 random bytes as a line of base64.
func NewKeyFile() []byte {
	return append(base64.StdEncoding.AppendEncode(nil, randomBytes(seal.KeySize)), '\n')
}

func readKeyFile(path string) (seal.Key, error) {
	text, err := readFile(path)
	if err != nil {
		return seal.Key{}, err
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != seal.KeySize {
		return seal.Key{}, understudy.Errorf(understudy.CodeInvalid, "%s holds no key: expected %d bytes as a line of base64; `understudy secrets new-key` makes one", path, seal.KeySize)
	}
	return seal.NewKey(key)
}
