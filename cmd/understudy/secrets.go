package main

import (
	"github.com/spf13/cobra"

	"understudy/internal/identity"
)

func secretsCommand() *cobra.Command {
	c := &cobra.Command{Use: "secrets", Short: "Change the key that seals the passwords of cameras, or make one for the management server"}
	c.AddCommand(secretsRotateCommand(), secretsNewKeyCommand())
	return c
}

func secretsRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Seal the passwords of cameras and the second factors of users under a new key, and forget the old one",
		Long: "All management servers go on meanwhile, and none needs to be told. If it is broken off nothing is lost: run it\n" +
			"again, at any of them. The keys lie sealed in the database, and open with the authority's folder of whatever time:\n" +
			"whoever has both opens what is sealed under any key.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.RotateSecrets(cmd.Context())
		},
	}
}

func secretsNewKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new-key",
		Short: "Print a key for the management server's key_file",
		Long: "With key_file in its configuration the management server keeps its certificate authority and keys sealed. Keep\n" +
			"the key elsewhere than the data folder and its backups: a file of mode 0600, or a credential of systemd.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(identity.NewKeyFile())
			return err
		},
	}
}
