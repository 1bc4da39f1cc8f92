package notify

import (
	"context"
	"crypto/tls"
	"strconv"

	"github.com/wneessen/go-mail"

	"understudy"
	"understudy/internal/config"
	"understudy/internal/remote"
)

// The ports of SMTP (RFC 8314 §3.3): submission with STARTTLS, and with TLS from the start.
const (
	portSubmission = "587"
	portTLS        = 465
)

// mailer sends messages by SMTP: with TLS from the start on 465, else with
// STARTTLS, which only a server on this machine may lack.
type mailer struct {
	config config.Target
	host   string
	port   int
	tls    *tls.Config
}

func newMail(c config.Target) (sender, error) {
	host, port := hostPort(c.Mail, portSubmission)
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify: mail is an SMTP server, as smtp.example.com:587, found %q", c.Name, c.Mail)
	}
	trust, err := remote.Roots("ca_file of notify", c.CAFile)
	if err != nil {
		return nil, err
	}
	m := &mailer{config: c, host: host, port: int(number), tls: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: trust}}
	if _, err := m.compose(message{}); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify needs `from` and `to`, e-mail addresses: %w", c.Name, err)
	}
	return m, nil
}

func (m *mailer) compose(what message) (*mail.Msg, error) {
	letter := mail.NewMsg()
	if err := letter.From(m.config.From); err != nil {
		return nil, err
	}
	if err := letter.To(m.config.To...); err != nil {
		return nil, err
	}
	letter.Subject(what.subject())
	letter.SetDate()
	letter.SetMessageID()
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's holiday answers
	letter.SetBodyString(mail.TypeTextPlain, what.text())
	return letter, nil
}

func (m *mailer) send(ctx context.Context, what message) error {
	letter, err := m.compose(what)
	if err != nil {
		return err
	}
	password, err := remote.Secret("password_file of notify", m.config.PasswordFile)
	if err != nil {
		return err
	}
	options := []mail.Option{mail.WithPort(m.port), mail.WithTimeout(sendPatience), mail.WithTLSConfig(m.tls)}
	switch {
	case m.port == portTLS:
		options = append(options, mail.WithSSL())
	case remote.IsHere(m.host):
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.config.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.config.Username), mail.WithPassword(password))
	}
	client, err := mail.NewClient(m.host, options...)
	if err == nil {
		err = client.DialAndSendWithContext(ctx, letter)
	}
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the mail server %s did not take the message: %w", m.config.Mail, err)
	}
	return nil
}
