package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// credentialPrefix is what the units of the Debian package load the files of
// /etc/understudy/credentials as.
const credentialPrefix = "understudy_"

// findCredentials lets each *_file that has no slash be a credential that
// systemd keeps for this service in dir: one that a drop-in loads by that name, or
// one of /etc/understudy/credentials. Without systemd dir is empty, and it is a
// file where the process was started.
func findCredentials(v reflect.Value, dir string) {
	if dir == "" {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			field := v.Field(i)
			if field.Kind() != reflect.String || !strings.HasSuffix(name, "_file") {
				findCredentials(field, dir)
				continue
			}
			if file := field.String(); file != "" && !strings.Contains(file, "/") {
				field.SetString(credential(dir, file))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			findCredentials(v.Index(i), dir)
		}
	}
}

func credential(dir, name string) string {
	if own := filepath.Join(dir, name); exists(own) {
		return own
	}
	return filepath.Join(dir, credentialPrefix+name)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
