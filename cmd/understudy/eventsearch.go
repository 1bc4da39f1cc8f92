package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"understudy"
)

// searchFlags are what events are searched by.
func searchFlags(c *cobra.Command, query *understudy.EventQuery) {
	f := c.Flags()
	f.StringVar((*string)(&query.Kind), "kind", "", fmt.Sprintf("only one of %v", understudy.EventKinds()))
	f.StringVar((*string)(&query.Camera), "camera", "", "only of this camera")
	f.StringVar((*string)(&query.Server), "server", "", "only of this server")
	f.StringVar(&query.Actor, "by", "", "only what user:NAME or server:ID did")
	f.StringVar(&query.Text, "text", "", "only with this in the sentence, whatever its case")
	f.Var((*timeFlag)(&query.Since), "since", "only from then on: 2026-11-23T14:05:00Z, 2026-11-23, 14:05 (today) or 36h (ago)")
	f.Var((*timeFlag)(&query.Until), "until", "only before then, written alike")
}
