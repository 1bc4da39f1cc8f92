// Command campaign breaks a whole site in many ways, again and again: real
// binaries on machines of their own (network namespaces on one switch), cameras
// that stamp their frames, and an account of every frame afterwards. See
// design/reliability.md.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	if inRun() {
		return
	}
	c := campaign{}
	kinds, minutes := "", 0.0
	asJSON, list := false, false
	flag.IntVar(&c.runs, "runs", 40, "how many runs, spread over the kinds")
	flag.Float64Var(&minutes, "minutes", 0, "begin no run after so many minutes; 0 is no end")
	flag.StringVar(&kinds, "kinds", "", "only these kinds of fault, a comma between")
	flag.StringVar(&c.modes, "modes", "", "only these kinds of standby (hot, cold, mirror), a comma between")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().Unix()), "of all that is random")
	flag.IntVar(&c.together, "together", 3, "how many sites at once")
	flag.StringVar(&c.binary, "binary", "bin/understudy", "the understudy program")
	flag.StringVar(&c.disk, "disk", "bin/fusedisk", "the program that mounts disks (tools/fusedisk/mount)")
	flag.StringVar(&c.keep, "keep", "campaign-failures", "folder for logs, stores and exports of runs that failed")
	flag.BoolVar(&asJSON, "json", false, "print one JSON object")
	flag.BoolVar(&list, "list", false, "print the kinds of fault, and run nothing")
	flag.Parse()
	if list {
		printKinds(os.Stdout)
		return
	}
	if kinds != "" {
		c.only = strings.Split(kinds, ",")
	}
	if minutes > 0 {
		c.until = time.Now().Add(time.Duration(minutes * float64(time.Minute)))
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	report, err := c.run(ctx, func(o outcome) { fmt.Fprintln(os.Stderr, o.line()) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if asJSON {
		_ = json.NewEncoder(os.Stdout).Encode(report) // who does not listen does not mind
	} else {
		report.print(os.Stdout)
	}
	if report.Failed > 0 || report.Runs == 0 {
		os.Exit(1)
	}
}
