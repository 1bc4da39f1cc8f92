package notify

import (
	"context"

	"understudy"
	"understudy/internal/config"
	"understudy/internal/mqtt"
)

// broker publishes messages as JSON on one topic, at least once each.
type broker struct{ config config.Target }

func newBroker(c config.Target) (sender, error) {
	if c.Topic == "" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify needs the `topic` that it publishes on", c.Name)
	}
	b := &broker{c}
	return b, mqtt.ValidatePublish(b.connection(), c.Topic)
}

func (b *broker) connection() mqtt.Config {
	return mqtt.Config{URL: b.config.MQTT, ClientID: "understudy-notify-" + b.config.Name, Username: b.config.Username,
		PasswordFile: b.config.PasswordFile, CAFile: b.config.CAFile}
}

func (b *broker) send(ctx context.Context, m message) error {
	body, err := m.json()
	if err != nil {
		return err
	}
	return mqtt.Publish(ctx, b.connection(), b.config.Topic, body)
}
