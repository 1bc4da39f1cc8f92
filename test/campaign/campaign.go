package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"understudy"
	"understudy/internal/child"
)

// campaign is many runs.
type campaign struct {
	runs     int
	until    time.Time // no run begins after it; zero is no end
	only     []string  // kinds; empty is all
	modes    string
	seed     uint64
	together int
	binary   string
	disk     string
	keep     string
}

// runTime is the longest that a run may take; then it is ended, and has failed.
const runTime = 4 * time.Minute

// runVariable carries the order to the process of a run.
const runVariable = "UNDERSTUDY_CAMPAIGN_RUN"

// run does all runs and reports them; done is told of each as it ends.
func (c *campaign) run(ctx context.Context, done func(outcome)) (report, error) {
	orders, err := c.orders()
	if err != nil {
		return report{}, err
	}
	if err := able(); err != nil {
		return report{}, err
	}
	dir, err := os.MkdirTemp("", "understudy-campaign-")
	if err != nil {
		return report{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears temporary folders
	r := report{Seed: c.seed}
	var mu sync.Mutex
	var workers sync.WaitGroup
	jobs := make(chan order)
	for range c.together {
		workers.Go(func() {
			for o := range jobs {
				result := c.one(ctx, o)
				mu.Lock()
				r.add(result)
				done(result)
				mu.Unlock()
			}
		})
	}
	for i, o := range orders {
		if ctx.Err() != nil || !c.until.IsZero() && time.Now().After(c.until) {
			break
		}
		o.Dir = filepath.Join(dir, fmt.Sprintf("%04d-%s-%s", i+1, o.Kind, o.Mode))
		jobs <- o
	}
	close(jobs)
	workers.Wait()
	return r, nil
}

// orders spreads the runs over kinds and modes in turn, in an order that the seed chooses.
func (c *campaign) orders() ([]order, error) {
	for _, name := range c.only {
		if _, ok := kindNamed(name); !ok {
			return nil, fmt.Errorf("there is no kind of fault %q; -list prints them", name)
		}
	}
	var err error
	for _, path := range []*string{&c.binary, &c.disk, &c.keep} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	var turn []order
	for _, k := range kinds {
		for _, mode := range k.modes {
			if (len(c.only) == 0 || slices.Contains(c.only, k.name)) && (c.modes == "" || slices.Contains(strings.Split(c.modes, ","), string(mode))) {
				turn = append(turn, order{Kind: k.name, Mode: mode, Binary: c.binary, Disk: c.disk})
			}
		}
	}
	if len(turn) == 0 {
		return nil, errors.New("no kind of fault is left to run")
	}
	random := rand.New(rand.NewPCG(c.seed, 0))
	orders := make([]order, 0, c.runs)
	for len(orders) < c.runs {
		random.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
		for _, o := range turn[:min(len(turn), c.runs-len(orders))] {
			o.Seed = random.Uint64()
			orders = append(orders, o)
		}
	}
	return orders, nil
}

// able says what is missing to make machines out of namespaces; nil if nothing.
func able() error {
	for _, program := range []string{"ip", "tc", "nft", "nsenter", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("the campaign needs %s: run scripts/install-test-tools.sh", program)
		}
	}
	cmd := exec.Command("true")
	cmd.SysProcAttr = namespaced()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the campaign makes network, mount and process namespaces, and may not here (run it as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN): %w", err)
	}
	return nil
}

func namespaced() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
}

// one does a run in a process and namespaces of its own: whatever becomes of
// it, its processes, mounts and networks end with it.
func (c *campaign) one(ctx context.Context, o order) (result outcome) {
	result = outcome{Kind: o.Kind, Mode: o.Mode, Seed: o.Seed}
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	defer func() { c.put(o, &result) }()
	text, err := json.Marshal(o)
	if err == nil {
		err = os.MkdirAll(o.Dir, 0o700)
	}
	self, selfErr := os.Executable()
	if err = errors.Join(err, selfErr); err != nil {
		result.Why = err.Error()
		return result
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), runVariable+"="+string(text))
	cmd.SysProcAttr = namespaced()
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = child.Run(cmd, syscall.SIGKILL)
	if jsonErr := json.Unmarshal(out.Bytes(), &result); err != nil || jsonErr != nil {
		result.Passed, result.Why = false, fmt.Sprintf("the run did not end well: %v: %s", errors.Join(err, jsonErr), complaints.String())
	}
	return result
}

// put keeps what a failed run leaves, and forgets the rest.
func (c *campaign) put(o order, result *outcome) {
	if result.Passed {
		_ = os.RemoveAll(o.Dir) // it goes with the folder of all runs in the end
		return
	}
	result.Kept = filepath.Join(c.keep, fmt.Sprintf("%s-%s-%d", o.Kind, o.Mode, o.Seed))
	_ = os.RemoveAll(result.Kept) // of the same run before
	if out, err := exec.Command("sh", "-c", `mkdir -p "$1" && cp -r "$2" "$3" && rm -rf "$2"`, "keep", c.keep, o.Dir, result.Kept).CombinedOutput(); err != nil {
		result.Why += fmt.Sprintf(" (and what it left could not be kept: %s)", out)
	}
}

// inRun plays the run that this process was started for; false if it was not.
func inRun() bool {
	text := os.Getenv(runVariable)
	if text == "" {
		return false
	}
	var o order
	if err := errors.Join(os.Unsetenv(runVariable), json.Unmarshal([]byte(text), &o)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	_ = json.NewEncoder(os.Stdout).Encode(rehearse(context.Background(), o)) // whoever started it listens
	return true
}

// standbyNames are the modes as the table shows them.
func standbyNames(modes []understudy.Standby) string {
	var names []string
	for _, m := range modes {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}
