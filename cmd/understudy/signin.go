package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/kerberos"
)

func signInCommand() *cobra.Command {
	var p proof
	var ca, fingerprint string
	c := &cobra.Command{
		Use:   "sign-in https://ADDRESS",
		Short: "Sign in at a site; the commands that follow use it",
		Long: "Signs in as a basic user, whose password is asked for, or read from standard input where that is no terminal; or\n" +
			"with --ticket as a user of the domain, by the Kerberos ticket that kinit keeps in a file (KRB5CCNAME). The first\n" +
			"time, the installation's certificate authority is shown by its fingerprint to be compared with what the management\n" +
			"server printed at its start; --ca or --fingerprint answer that beforehand.",
		Example: `  understudy sign-in https://vms.example.com --user ada
  kinit && understudy sign-in https://vms.example.com --ticket`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.validate(); err != nil {
				return err
			}
			address := strings.TrimSuffix(args[0], "/")
			authority, err := trustedCA(cmd, address, ca, fingerprint)
			if err != nil {
				return err
			}
			s := session{Addresses: []string{address}, CA: authority}
			site, err := s.client()
			if err != nil {
				return err
			}
			signed, err := p.signIn(cmd, site, address)
			if err != nil {
				return err
			}
			s.Token = signed.Token
			if s.Addresses, err = withPeers(cmd.Context(), site, address); err != nil {
				return err
			}
			if err := s.believe(cmd.Context(), site); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "signed in as %s (%s) until %s\n", signed.User.Name, signed.User.Role, signed.Expires.Local().Format("2006-01-02 15:04"))
			return nil
		},
	}
	c.Flags().StringVar(&p.user, "user", "", "name of the user")
	c.Flags().StringVar(&p.code, "code", "", "code of the second factor, for who has one")
	c.Flags().BoolVar(&p.ticket, "ticket", false, "sign in by the Kerberos ticket that kinit keeps (KRB5CCNAME), instead of name and password")
	c.Flags().StringVar(&ca, "ca", "", "file with the installation's CA certificate (PEM)")
	c.Flags().StringVar(&fingerprint, "fingerprint", "", "SHA-256 of the CA certificate, as the management server prints it")
	return c
}

// withPeers adds the site's other management servers, for the day on which this one is away.
func withPeers(ctx context.Context, site *client.Client, address string) ([]string, error) {
	text, err := site.Trust(ctx)
	if err != nil {
		return nil, err
	}
	var trust identity.Trust
	if err := json.Unmarshal(text, &trust); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "where the management servers are could not be read: %w", err)
	}
	all := []string{address}
	for _, other := range trust.Management {
		if other != address {
			all = append(all, other)
		}
	}
	return all, nil
}

// proof is how somebody proves who is signing in.
type proof struct {
	user, code string
	ticket     bool
}

func (p proof) validate() error {
	switch {
	case !p.ticket && p.user == "":
		return understudy.Errorf(understudy.CodeInvalid, "say who signs in: --user NAME, or --ticket for the owner of the Kerberos ticket")
	case p.ticket && (p.user != "" || p.code != ""):
		return understudy.Errorf(understudy.CodeInvalid, "a Kerberos ticket says itself who signs in; leave out --user and --code, or --ticket")
	}
	return nil
}

func (p proof) signIn(cmd *cobra.Command, site *client.Client, address string) (understudy.Session, error) {
	if !p.ticket {
		password, err := readPassword(cmd, "Password of "+p.user+": ")
		if err != nil {
			return understudy.Session{}, err
		}
		return site.SignInWithCode(cmd.Context(), p.user, password, understudy.Secret(p.code))
	}
	at, err := url.Parse(address)
	if err != nil {
		return understudy.Session{}, understudy.Errorf(understudy.CodeInvalid, "an address is https://host or https://host:port, found %.200q", address)
	}
	token, err := kerberos.Offer(at.Hostname())
	if err != nil {
		return understudy.Session{}, err
	}
	return site.SignInWithTicket(cmd.Context(), token)
}
