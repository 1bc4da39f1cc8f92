// Command canaries plants bugs in the code as it ships, one at a time, and plays
// seeds of the simulator until it has found each: a seed that goes wrong with the
// bug, and does not without it. A bug that is not found, or
// whose place is not there any more, is a failure: of the simulator, or of this
// table. The copies lie in a temporary folder; nothing of them is in the code.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"understudy/internal/sim"
)

func main() {
	seeds := flag.Int("seeds", 20000, "within how many seeds each must be found")
	only := flag.String("only", "", "only those with this in their name")
	skip := flag.Int("skip", 0, "leave out so many of the table's first")
	flag.Parse()
	root, err := os.Getwd()
	if err != nil {
		fail(err)
	}
	dir, err := os.MkdirTemp("", "canaries")
	if err != nil {
		fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears temporary folders
	fmt.Printf("%-58s %8s %8s  %s\n", "planted bug", "seeds", "seconds", "found as")
	missed, played := 0, 0
	for i, c := range canaries {
		if i < *skip || !strings.Contains(c.name, *only) {
			continue
		}
		played++
		began := time.Now()
		found, err := c.hunt(root, filepath.Join(dir, fmt.Sprint(i)), *seeds)
		switch {
		case err != nil:
			missed++
			fmt.Printf("%-58s %8s %8.1f  %v\n", c.name, "-", time.Since(began).Seconds(), err)
		case found.Violations == 0:
			missed++
			fmt.Printf("%-58s %8d %8.1f  NOT FOUND (it breaks: %s)\n", c.name, found.Seeds, time.Since(began).Seconds(), c.breaks)
		default:
			fmt.Printf("%-58s %8d %8.1f  %.110s\n", c.name, found.Seeds, time.Since(began).Seconds(), found.Wrong[0])
		}
	}
	fmt.Printf("%d planted bugs, %d found\n", played, played-missed)
	if missed > 0 {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

// hunt builds the simulator with the bug in it and plays until the bug is found.
func (c canary) hunt(root, dir string, seeds int) (sim.Report, error) {
	var r sim.Report
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, err
	}
	overlay, err := c.plant(root, dir)
	if err != nil {
		return r, err
	}
	binary := filepath.Join(dir, "play")
	build := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "./internal/sim/play")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return r, fmt.Errorf("it does not build: %w: %s", err, out)
	}
	return c.play(binary, seeds)
}

// play looks for a seed that goes wrong with the bug, and does not without it:
// what is wrong anyway proves nothing of the simulator's eyes.
func (c canary) play(binary string, seeds int) (sim.Report, error) {
	for from := uint64(0); ; {
		var r sim.Report
		// Its exit code says whether something was wrong; what, is in the report.
		text, _ := exec.Command(binary, "-first", "-json", "-quiet", "-from", fmt.Sprint(from), "-seeds", fmt.Sprint(uint64(seeds)-from)).Output()
		if err := json.Unmarshal(text, &r); err != nil {
			return r, fmt.Errorf("what was played cannot be read: %w: %.200s", err, text)
		}
		r.Seeds += int(from)
		if r.Violations == 0 || sim.Play(r.WrongSeeds[0], false).Wrong == "" {
			return r, nil
		}
		if from = r.WrongSeeds[0] + 1; from >= uint64(seeds) {
			r.Violations = 0
			return r, nil
		}
	}
}

// plant writes copies of the files with the bug in them, and the list of them for the compiler.
func (c canary) plant(root, dir string) (overlay string, err error) {
	content, replace := map[string]string{}, map[string]string{}
	for _, e := range c.edits {
		text, ok := content[e.file]
		if !ok {
			read, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return "", err
			}
			text = string(read)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("expected %q once in %s, found it %d times: bring the table up to date", e.old, e.file, n)
		}
		content[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	for file, text := range content {
		mutated := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = mutated
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}
