// Command play plays stories of the simulator, by their seeds.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"understudy/internal/sim"
)

func main() {
	from := flag.Uint64("from", 0, "first seed")
	seeds := flag.Int("seeds", 10000, "how many seeds are played")
	seed := flag.Int64("seed", -1, "play this one seed, and write its story down")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "stories that are played at once")
	first := flag.Bool("first", false, "stop at the first story that goes wrong")
	asJSON := flag.Bool("json", false, "print what came of it as JSON")
	hours := flag.Int("quiet-hours", 0, "play so many hours in which nothing breaks, an hour a seed: no takeover may happen")
	quiet := flag.Bool("quiet", false, "say nothing of single seeds")
	profile := flag.String("cpuprofile", "", "write a profile of the processor's time to this file")
	flag.Parse()
	debug.SetGCPercent(800) // little of the heap lives on, and a few tens of MB stay in the processor's caches
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		defer file.Close()
		_ = pprof.StartCPUProfile(file)
		defer pprof.StopCPUProfile()
	}
	if *seed >= 0 {
		o := sim.Play(uint64(*seed), true)
		fmt.Print(o.Log)
		fmt.Println(o)
		return
	}
	length := time.Duration(0)
	if *hours > 0 {
		*seeds, length = *hours, time.Hour
	}
	r := sim.Many{From: *from, Seeds: *seeds, Quiet: length, Workers: *workers, First: *first, Wrong: func(o sim.Outcome) {
		if !*quiet {
			fmt.Println(o)
		}
	}}.Play()
	if *asJSON {
		text, _ := json.MarshalIndent(r, "", "  ")
		fmt.Println(string(text))
	} else {
		fmt.Println(r)
	}
	if r.Violations > 0 {
		pprof.StopCPUProfile()
		os.Exit(1)
	}
}
