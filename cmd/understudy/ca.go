package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func caCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ca",
		Short: "Exchange the certificate authority of the installation, while everything goes on",
		Long: "In three steps: `ca new` makes another CA, which every server believes beside the one that signs; `ca use` has it\n" +
			"sign, and every server gets a certificate of it; `ca retire` has the old one believed no more. Each waits for\n" +
			"nobody: it says who is not ready, and does nothing. Run it again, or --force it; those have to join again then.",
	}
	c.AddCommand(
		caStatusCommand(),
		caStepCommand(understudy.CANew, "Make the next CA, which is believed and signs nothing yet", "Give the new ca.pem, which has both, to browsers and players that know the old one: they need it from `understudy ca use` on."),
		caStepCommand(understudy.CAUse, "Have the new CA sign, and every server get a certificate of it", "When all have moved (`understudy ca status`), retire the old one: `understudy ca retire`."),
		caStepCommand(understudy.CARetire, "Have the old CA believed no more", "Back the management server's data folder up now: backups of before hold the old CA."),
	)
	return c
}

func caStatusCommand() *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "Show which CA signs, and which servers the next step waits for", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		ca, err := site.CA(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), ca)
		}
		return printCA(cmd, ca)
	}
	return c
}

func printCA(cmd *cobra.Command, ca understudy.CA) error {
	for _, s := range ca.Servers {
		fmt.Fprintln(cmd.OutOrStdout(), s.Sentence)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), ca.Sentence)
	return err
}

func caStepCommand(step understudy.CAStep, short, then string) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: string(step), Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, site, err := ownSession()
			if err != nil {
				return err
			}
			ca, err := site.ChangeCA(cmd.Context(), step, force)
			if err != nil {
				return err
			}
			if err := s.believe(cmd.Context(), site); err != nil {
				return err
			}
			if asked, _ := cmd.Flags().GetBool("json"); asked {
				return changed(cmd, ca, nil)
			}
			if err := printCA(cmd, ca); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), then)
			return err
		},
	}
	jsonFlag(c)
	if step != understudy.CANew {
		c.Flags().BoolVar(&force, "force", false, "also where servers are not ready, which have to join again then")
	}
	return c
}

// believe keeps the CA certificates of the installation as a server tells them whose certificate was verified.
func (s session) believe(ctx context.Context, site *client.Client) error {
	text, err := site.CACertificate(ctx)
	if err != nil {
		return err
	}
	s.CA = string(text)
	return s.save()
}
