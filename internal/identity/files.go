package identity

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"understudy"
)

const maxFile = 64 << 20

// readFile reads a secret file. One that others may read is refused, as ssh
// does: its secrets may be theirs already.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, understudy.Errorf(understudy.CodeNotFound, "there is no file %s: %w", path, err)
	}
	if err != nil {
		return nil, internal("open "+path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, internal("look at "+path, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, understudy.Errorf(understudy.CodeForbidden,
			"%s holds secrets and others may read or write it (mode %04o): make it readable by its owner only (chmod 600)", path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, internal("read "+path, err)
	}
	if len(data) > maxFile {
		return nil, understudy.Errorf(understudy.CodeInvalid, "%s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// writeFile replaces path whole or not at all, readable by its owner only.
func writeFile(path string, data []byte) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return internal("make the folder "+folder, err)
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return internal("write to "+folder, err)
	}
	defer func() {
		if err != nil {
			file.Close()
			err = errors.Join(internal("write "+path, err), os.Remove(file.Name()))
		}
	}()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func readJSON(path string, v any) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "%s is damaged, restore it from a backup: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return internal("encode "+path, err)
	}
	return writeFile(path, append(data, '\n'))
}
