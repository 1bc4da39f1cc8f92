package config

import (
	"os"
	"path/filepath"
	"testing"

	"understudy"
)

func TestAFileWithoutASlashIsACredentialOfSystemds(t *testing.T) {
	const text = "storage: {archive: {endpoint: 'https://s3', bucket: b, access_key_file: s3-access, secret_key_file: /etc/secret}}\n" +
		"metrics: {listen: ':9464', token_file: metrics-token}\nmqtt: {url: 'mqtt://b', username: file}\n"
	kept := t.TempDir()
	if err := os.WriteFile(filepath.Join(kept, "metrics-token"), nil, 0o600); err != nil { // loaded by a drop-in, under its own name
		t.Fatal(err)
	}
	for dir, want := range map[string][2]string{
		"":   {"s3-access", "metrics-token"},
		kept: {kept + "/understudy_s3-access", kept + "/metrics-token"},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", dir)
		c, err := LoadMedia(write(t, text), understudy.RoleRecording)
		if err != nil {
			t.Fatal(err)
		}
		a := c.Storage.Archive
		if a.AccessKeyFile != want[0] || a.SecretKeyFile != "/etc/secret" || c.Metrics.TokenFile != want[1] || c.MQTT.Username != "file" || c.MQTT.PasswordFile != "" {
			t.Errorf("with %q: %+v %+v", dir, a, c.Metrics)
		}
	}
	notify := "key_file: authority-key\nnotify: {targets: [{name: x, mail: m, password_file: smtp-password}]}\n"
	t.Setenv("CREDENTIALS_DIRECTORY", kept)
	if c, err := LoadManagement(write(t, notify)); err != nil || c.KeyFile != kept+"/understudy_authority-key" || c.Notify.Targets[0].PasswordFile != kept+"/understudy_smtp-password" {
		t.Errorf("%+v %v", c, err)
	}
}
