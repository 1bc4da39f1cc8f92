package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"understudy"
)

func signOutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sign-out",
		Short: "End the session, at the site and on this computer",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, site, err := ownSession()
			if err != nil {
				return err
			}
			ended := site.SignOut(cmd.Context(), s.Token)
			if err := s.forget(); err != nil {
				return err
			}
			if ended != nil && understudy.CodeOf(ended) != understudy.CodeUnauthenticated { // which is one that had ended
				return understudy.Errorf(understudy.CodeOf(ended), "the session is forgotten on this computer, and goes on at the site until its time is over, or until `understudy user end-session` ends it: %w", ended)
			}
			return nil
		},
	}
}

// forget removes what sign-in kept, and what was kept of the site since.
func (s session) forget() error {
	path, err := sessionPath()
	if err != nil {
		return err
	}
	m, err := s.memory()
	if err != nil {
		return err
	}
	for _, file := range []string{path, m.path} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return understudy.Errorf(understudy.CodeUnavailable, "the session could not be forgotten on this computer; remove it: %w", err)
		}
	}
	return nil
}
