package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func userSecondCommand() *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use:   "second-factor",
		Short: "Have a code of an app asked for when you sign in",
		Long: "Makes a second factor for the user who is signed in: a secret for an app that makes codes of six digits\n" +
			"(TOTP, RFC 6238). It is needed to sign in once a code of it has been shown.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			password, err := readPassword(cmd, "Your password: ")
			if err != nil {
				return err
			}
			if !remove {
				return enrol(cmd, site, password)
			}
			code, err := readCode(cmd)
			if err != nil {
				return err
			}
			if err := site.RemoveSecondFactor(cmd.Context(), password, code); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the password alone is enough again; all sessions have ended")
			return nil
		},
	}
	c.Flags().BoolVar(&remove, "remove", false, "sign in by the password alone again")
	return c
}

func enrol(cmd *cobra.Command, site *client.Client, password understudy.Secret) error {
	secret, address, err := site.BeginSecondFactor(cmd.Context(), password)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Type this into the app, or show the address as a QR code (qrencode -t UTF8):\n  %s\n  %s\n", string(secret), string(address))
	code, err := readCode(cmd)
	if err != nil {
		return err
	}
	if err := site.ConfirmSecondFactor(cmd.Context(), code); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "a code is needed to sign in from now on: understudy sign-in --code, and below the password in the page")
	return nil
}

func readCode(cmd *cobra.Command) (understudy.Secret, error) {
	fmt.Fprint(cmd.ErrOrStderr(), "Code that the app shows: ")
	line, err := readLine(cmd.InOrStdin())
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInvalid, "no code on standard input: %w", err)
	}
	return understudy.Secret(line), nil
}

func userResetSecondCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reset-second-factor NAME",
		Short: "Take away the second factor of who has lost it, and end the user's sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.ResetSecondFactor(cmd.Context(), args[0])
		},
	}
}
