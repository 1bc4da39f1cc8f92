// Package mqtt takes events from an MQTT broker (MQTT 3.1.1): each server
// subscribes by itself, so that events reach it without the management server.
// It also brings notifications to one.
package mqtt

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"understudy"
	"understudy/internal/remote"
)

// Config says where the broker is and which messages are events.
type Config struct {
	// URL is mqtt://host:1883, or mqtts://host:8883 with TLS.
	URL string
	// ClientID names this server to the broker, which keeps what comes while it is away.
	ClientID string
	Username string
	// PasswordFile is read at each connection.
	PasswordFile string
	// CAFile is whom to trust, PEM; the system's authorities unless given.
	CAFile string
	Topics []Topic
	Log    *slog.Logger // nil is silent
}

const (
	atLeastOnce      = 1 // quality of service
	connectPatience  = 10 * time.Second
	keepAlive        = 15 * time.Second
	minPause         = time.Second
	maxPause         = 30 * time.Second
	quietMillisecond = 250 // for what is on its way when a session is ended
)

// Subscription is the events of a broker.
type Subscription struct {
	config Config
	log    *slog.Logger
	tell   func(understudy.Trigger) error
}

// New checks the configuration. tell takes events and must not wait.
func New(c Config, tell func(understudy.Trigger) error) (*Subscription, error) {
	if err := validateURL(c.URL); err != nil {
		return nil, err
	}
	if len(c.Topics) == 0 || len(c.Topics) > maxTopics {
		return nil, understudy.Errorf(understudy.CodeInvalid, "mqtt.topics are 1 to %d, found %d", maxTopics, len(c.Topics))
	}
	for _, t := range c.Topics {
		if err := t.Validate(); err != nil {
			return nil, err
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Subscription{config: c, log: c.Log, tell: tell}, nil
}

// Run takes events until ctx ends, connecting again whenever the connection is lost.
func (s *Subscription) Run(ctx context.Context) error {
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		connected, err := s.session(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if connected {
			wait = minPause
		}
		s.log.WarnContext(ctx, "the MQTT broker is away; it is tried again", "url", s.config.URL, "in", wait, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// session is one connection, until it is lost or ctx ends.
func (s *Subscription) session(ctx context.Context) (connected bool, err error) {
	options, err := s.options()
	if err != nil {
		return false, err
	}
	lost := make(chan error, 1)
	options.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	client := paho.NewClient(options)
	defer client.Disconnect(quietMillisecond)
	if err := done(ctx, client.Connect()); err != nil {
		return false, err
	}
	filters := map[string]byte{}
	for _, t := range s.config.Topics {
		filters[t.Filter] = atLeastOnce
	}
	if err := done(ctx, client.SubscribeMultiple(filters, nil)); err != nil {
		return true, err
	}
	s.log.InfoContext(ctx, "events are taken from the MQTT broker", "url", s.config.URL, "topics", len(filters))
	select {
	case <-ctx.Done():
		return true, ctx.Err()
	case err := <-lost:
		return true, err
	}
}

func done(ctx context.Context, t paho.Token) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.Done():
		return t.Error()
	case <-time.After(connectPatience):
		return understudy.Errorf(understudy.CodeUnavailable, "the broker did not answer within %s", connectPatience)
	}
}

func (s *Subscription) options() (*paho.ClientOptions, error) {
	o := paho.NewClientOptions().AddBroker(strings.Replace(s.config.URL, "mqtt", "tcp", 1)).SetClientID(s.config.ClientID).
		SetProtocolVersion(4).SetCleanSession(false).SetResumeSubs(false).SetAutoReconnect(false).SetConnectRetry(false).
		SetConnectTimeout(connectPatience).SetKeepAlive(keepAlive).SetPingTimeout(keepAlive).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { s.message(m, time.Now()) })
	password, err := remote.Secret("mqtt.password_file", s.config.PasswordFile)
	if err != nil {
		return nil, err
	}
	o.SetPassword(password)
	o.SetUsername(s.config.Username)
	if strings.HasPrefix(s.config.URL, "mqtts:") {
		roots, err := remote.Roots("mqtt.ca_file", s.config.CAFile)
		if err != nil {
			return nil, err
		}
		o.Servers[0].Scheme = "ssl"
		o.SetTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})
	}
	return o, nil
}

// message tells of the events that a message is. A retained one is what was,
// not what happens.
func (s *Subscription) message(m paho.Message, now time.Time) {
	if m.Retained() {
		return
	}
	for _, t := range s.config.Topics {
		event, ours, err := t.trigger(m.Topic(), m.Payload(), now)
		if !ours {
			continue
		}
		if err == nil {
			err = s.tell(event)
		}
		if err != nil && understudy.CodeOf(err) != understudy.CodeNotFound { // of a camera that is another server's
			s.log.Warn("a message of the MQTT broker is no event", "topic", m.Topic(), "error", err)
		}
		return
	}
}
