package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"understudy"
)

// printJSON writes one value, for scripts.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// table writes rows in columns, for people.
func table(w io.Writer, header string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, header)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// steps says what a long command does now, each step with the time.
func steps(cmd *cobra.Command) func(string) {
	return func(s string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s  %s\n", time.Now().Format("15:04:05"), s) }
}

// jsonFlag adds --json.
func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON, for scripts")
}

// changed prints what a command has changed, as it is now, for scripts that ask for it by --json.
func changed(cmd *cobra.Command, now any, err error) error {
	if asked, _ := cmd.Flags().GetBool("json"); err != nil || !asked {
		return err
	}
	return printJSON(cmd.OutOrStdout(), now)
}

// changedOr is changed for a command that tells people something else.
func changedOr(cmd *cobra.Command, now any, text string, err error) error {
	if asked, _ := cmd.Flags().GetBool("json"); err != nil || asked {
		return changed(cmd, now, err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// sizeFlag reads a number of bytes such as 200GB.
type sizeFlag int64

func (s *sizeFlag) String() string { return strconv.FormatInt(int64(*s), 10) }

func (*sizeFlag) Type() string { return "size" }

func (s *sizeFlag) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return understudy.Errorf(understudy.CodeInvalid, "a size is written as 200GB, 64MiB or a number of bytes, found %.80q", text)
	}
	*s = sizeFlag(n)
	return nil
}

// timeFlag reads a moment: RFC 3339, a day, a time of today such as 14:05, or an age such as 10m.
type timeFlag time.Time

func (t *timeFlag) String() string {
	if at := time.Time(*t); !at.IsZero() {
		return at.Format(time.RFC3339)
	}
	return ""
}

func (*timeFlag) Type() string { return "time" }

func (t *timeFlag) Set(text string) error {
	now := time.Now()
	if age, err := time.ParseDuration(text); err == nil {
		*t = timeFlag(now.Add(-age.Abs()))
		return nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		*t = timeFlag(at)
		return nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		*t = timeFlag(day)
		return nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			*t = timeFlag(time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.Local))
			return nil
		}
	}
	return understudy.Errorf(understudy.CodeInvalid, "a moment is 2026-11-23T14:05:00Z, 2026-11-23, 14:05 (today) or 10m (ago), found %q", text)
}
