package main

import (
	"understudy/internal/config"
	"understudy/internal/mqtt"
)

// subscription to the broker that is configured; nil for none.
func subscription(c config.MQTT, m *mediaServer) (*mqtt.Subscription, error) {
	if c.URL == "" && len(c.Topics) == 0 {
		return nil, nil
	}
	from := mqtt.Config{URL: c.URL, ClientID: "understudy-" + string(m.node.ID()), Username: c.Username, PasswordFile: c.PasswordFile, CAFile: c.CAFile, Log: m.log}
	for _, t := range c.Topics {
		from.Topics = append(from.Topics, mqtt.Topic{Filter: t.Topic, Camera: t.Camera, Name: t.Name, Payload: t.Payload})
	}
	return mqtt.New(from, m.recorder.Trigger)
}
