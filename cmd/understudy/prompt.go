package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"understudy"
)

func readPassword(cmd *cobra.Command, prompt string) (understudy.Secret, error) {
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		line, err := readLine(cmd.InOrStdin())
		if err != nil {
			return "", understudy.Errorf(understudy.CodeInvalid, "no password on standard input: %w", err)
		}
		return understudy.Secret(line), nil
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	text, err := term.ReadPassword(stdin)
	fmt.Fprintln(cmd.ErrOrStderr())
	return understudy.Secret(text), err
}

// readLine reads up to the end of a line and not a byte further: what follows
// is for the next question.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < 4096; {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			break
		}
		line = append(line, one[:n]...)
		if err != nil {
			if len(line) == 0 {
				return "", err
			}
			break
		}
	}
	return strings.TrimRight(string(line), "\r"), nil
}
