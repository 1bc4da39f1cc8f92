package mqtt

import (
	"context"
	"net/url"
	"strings"

	paho "github.com/eclipse/paho.mqtt.golang"

	"understudy"
)

// ValidatePublish reports what is wrong with a broker's address or with a topic
// that is to be published on.
func ValidatePublish(c Config, topic string) error {
	if err := validateURL(c.URL); err != nil {
		return err
	}
	if topic == "" || strings.ContainsAny(topic, "+#\x00") || len(topic) > 1000 {
		return understudy.Errorf(understudy.CodeInvalid, "a topic to publish on has no + and no #, as site1/understudy; found %.200q", topic)
	}
	return nil
}

// Publish brings one message to the broker, at least once, over a connection of
// its own, and returns when the broker has it.
func Publish(ctx context.Context, c Config, topic string, payload []byte) error {
	options, err := (&Subscription{config: c}).options()
	if err != nil {
		return err
	}
	client := paho.NewClient(options.SetCleanSession(true))
	defer client.Disconnect(quietMillisecond)
	err = done(ctx, client.Connect())
	if err == nil {
		err = done(ctx, client.Publish(topic, atLeastOnce, false, payload))
	}
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the MQTT broker did not take a message: %w", err)
	}
	return nil
}

func validateURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Hostname() == "" || u.User != nil {
		return understudy.Errorf(understudy.CodeInvalid, "mqtt.url is mqtt://host:1883, or mqtts://host:8883 with TLS, without credentials; found %.200q", address)
	}
	return nil
}
