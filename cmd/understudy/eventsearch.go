package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

// searchFlags are what events are searched by.
func searchFlags(c *cobra.Command, query *understudy.EventQuery) (times func() error) {
	var since, until string
	c.Flags().StringVar((*string)(&query.Kind), "kind", "", fmt.Sprintf("only one of %v", understudy.EventKinds()))
	c.Flags().StringVar((*string)(&query.Camera), "camera", "", "only of this camera")
	c.Flags().StringVar((*string)(&query.Server), "server", "", "only of this server")
	c.Flags().StringVar(&query.Actor, "by", "", "only what user:NAME or server:ID did")
	c.Flags().StringVar(&query.Text, "text", "", "only with this in the sentence, whatever its case")
	c.Flags().StringVar(&since, "since", "", "only from then on: 2026-03-01, a time as in RFC 3339, or how long ago (36h)")
	c.Flags().StringVar(&until, "until", "", "only before then")
	return func() (err error) {
		if query.Since, err = moment(since); err == nil {
			query.Until, err = moment(until)
		}
		return err
	}
}

// moment reads a day, a time, or how long ago something was.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-ago), nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, understudy.Errorf(understudy.CodeInvalid, "expected a day (2026-03-01), a time (2026-03-01T12:00:00Z) or how long ago (36h), found %q", text)
	}
	return at, nil
}
