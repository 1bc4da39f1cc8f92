package config

import "time"

// Notify configures whom a management server tells of events.
type Notify struct {
	Site    string   `yaml:"site"` // its name in messages; the first of hosts unless given
	Targets []Target `yaml:"targets"`
}

// Target is told of events by exactly one of webhook, mail, mqtt and syslog.
type Target struct {
	Name string `yaml:"name"`
	// Severity is the least that is told: info (the default for syslog), warning (for all others) or critical.
	Severity string `yaml:"severity"`
	// Kinds of events that are told, and no others; without a severity, all of these.
	Kinds []string      `yaml:"kinds"`
	Every time.Duration `yaml:"every"` // at most one message in this time; 1m unless given, 2s for syslog

	Webhook    string `yaml:"webhook"` // https://…, to which JSON is posted
	SecretFile string `yaml:"secret_file"`

	Mail string   `yaml:"mail"` // SMTP server, host:port
	From string   `yaml:"from"`
	To   []string `yaml:"to"`

	MQTT  string `yaml:"mqtt"` // mqtt://host:1883 or mqtts://host:8883
	Topic string `yaml:"topic"`

	Syslog          string `yaml:"syslog"`           // tls://host:6514, tcp://host:port or udp://host:514
	CertificateFile string `yaml:"certificate_file"` // PEM; who this is to a server that asks
	KeyFile         string `yaml:"key_file"`         // of it

	Username     string `yaml:"username"` // of mail and mqtt
	PasswordFile string `yaml:"password_file"`
	CAFile       string `yaml:"ca_file"` // PEM; the system's authorities unless given
}
