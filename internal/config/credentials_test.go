package config

import (
	"testing"

	"understudy"
)

func TestAFileWithoutASlashIsACredentialOfSystemds(t *testing.T) {
	const text = "storage: {archive: {endpoint: 'https://s3', bucket: b, access_key_file: s3-access, secret_key_file: /etc/secret}}\n" +
		"metrics: {listen: ':9464', token_file: metrics-token}\nmqtt: {url: 'mqtt://b', username: file}\n"
	for dir, want := range map[string][2]string{
		"": {"s3-access", "metrics-token"},
		"/run/credentials/understudy-recording.service": {
			"/run/credentials/understudy-recording.service/understudy_s3-access", "/run/credentials/understudy-recording.service/understudy_metrics-token",
		},
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
}
