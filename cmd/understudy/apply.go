package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/declare"
)

func applyCommand() *cobra.Command {
	var file string
	var o applyOptions
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the site what a file says, after showing what that changes",
		Long: "Reads failover servers, groups, recording servers, cameras, camera groups, roles and what users may do from a YAML\n" +
			"file (- is standard input), as `understudy export-config` writes it and docs/site-200.yaml shows it; prints what must\n" +
			"be done, asks, and does it. Applied again, the same file changes nothing. What the file does not have stays, unless\n" +
			"--prune removes it. New users are added by `understudy user add NAME --cameras ''`, which asks for the\n" +
			"password, and are given their rights by the file.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.apply(cmd, func(understudy.Site) (declare.Document, error) {
				if file == "-" {
					return declare.Read(cmd.InOrStdin(), ".")
				}
				r, err := os.Open(file)
				if err != nil {
					return declare.Document{}, understudy.Errorf(understudy.CodeInvalid, "the file could not be opened: %w", err)
				}
				defer r.Close()
				return declare.Read(r, filepath.Dir(file))
			})
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "file that says what the site shall be; - is standard input")
	_ = c.MarkFlagRequired("file") // it has just been made
	c.Flags().BoolVar(&o.Prune, "prune", false, "remove cameras and groups that the file does not have, and camera groups and roles if it has such lists; users never")
	o.flags(c)
	return c
}

// applyOptions are those of commands that plan, ask and apply.
type applyOptions struct {
	declare.Options
	yes, dryRun, asJSON bool
}

func (o *applyOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and do nothing")
	f.BoolVar(&o.Passwords, "passwords", false, "also set passwords of cameras that are there already anew: what is stored cannot be compared")
	f.BoolVar(&o.asJSON, "json", false, "print what is done as JSON, for scripts; needs --yes or --dry-run")
}

// apply plans, shows, asks and does.
func (o *applyOptions) apply(cmd *cobra.Command, read func(understudy.Site) (declare.Document, error)) error {
	if o.asJSON && !o.yes && !o.dryRun {
		return understudy.Errorf(understudy.CodeInvalid, "with --json nobody is asked; add --yes or --dry-run")
	}
	site, err := signedIn()
	if err != nil {
		return err
	}
	var now declare.Now
	if now.Site, err = site.Site(cmd.Context()); err != nil {
		return err
	}
	document, err := read(now.Site)
	if err != nil {
		return err
	}
	if len(document.Users) > 0 {
		if now.Users, err = site.Users(cmd.Context()); err != nil {
			return err
		}
	}
	plan, err := declare.Make(now, document, o.Options)
	if err != nil {
		return err
	}
	if err := o.show(cmd.OutOrStdout(), plan); err != nil || len(plan) == 0 || o.dryRun {
		return err
	}
	if !o.yes {
		if err := confirm(cmd, fmt.Sprintf("Do these %d things? [y/N] ", len(plan))); err != nil {
			return err
		}
	}
	draw, ended := progress(cmd, "applying", progressbar.OptionShowCount())
	defer ended()
	if err := plan.Apply(cmd.Context(), site, func(done int) { draw(int64(done), int64(len(plan))) }); err != nil {
		return err
	}
	if !o.asJSON {
		fmt.Fprintf(cmd.OutOrStdout(), "done: %d changes\n", len(plan))
	}
	return nil
}

func (o *applyOptions) show(w io.Writer, plan declare.Plan) error {
	if o.asJSON {
		if plan == nil {
			plan = declare.Plan{}
		}
		return printJSON(w, plan)
	}
	buffered := bufio.NewWriter(w)
	for _, step := range plan {
		fmt.Fprintln(buffered, step)
	}
	if len(plan) == 0 {
		fmt.Fprintln(buffered, "nothing to change")
	}
	return buffered.Flush()
}

// confirm asks, and takes nothing but a yes for one.
func confirm(cmd *cobra.Command, question string) error {
	fmt.Fprint(cmd.ErrOrStderr(), question)
	line, err := readLine(cmd.InOrStdin())
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "y") {
		return understudy.Errorf(understudy.CodeConflict, "nothing was changed: the answer was not yes (--yes asks nobody)")
	}
	return nil
}
