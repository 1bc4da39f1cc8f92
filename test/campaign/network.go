package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// network is the machines of one run: each a network namespace with a cable to
// one switch, which is a bridge in the namespace of the run itself, where the
// oracle is. All of it is in namespaces that the kernel takes away with the
// run's last process, so nothing is left behind, however a run ends.
type network struct {
	addresses map[string]string
	rules     map[string]bool // of the switch, in nft's words
	wires     map[string]*wire
}

// The names of machines that every run has.
const (
	oracle = "client" // where this process is
	anyone = ""       // as an end of a link: whoever it is
)

const (
	bridge     = "switch"
	namespaces = "/run/netns/"
)

// newNetwork makes the namespaces of this process the run's own. They were
// made with it (newRun), and hold nothing of the machine's network.
func newNetwork(machines []string) (*network, error) {
	n := &network{addresses: map[string]string{oracle: "10.77.0.254"}, rules: map[string]bool{}, wires: map[string]*wire{}}
	for _, command := range []string{
		"mount --make-rprivate /",
		"mount -t tmpfs tmpfs /run",
		"mount -t proc proc /proc",
		"ip link set lo up",
		"ip link add " + bridge + " type bridge",
		"ip addr add " + n.addresses[oracle] + "/24 dev " + bridge,
		"ip link set " + bridge + " up",
	} {
		if err := sh(command); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(namespaces, 0o755); err != nil {
		return nil, err
	}
	for i, name := range machines {
		n.addresses[name] = fmt.Sprintf("10.77.0.%d", 1+i)
		if err := n.plug(name); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// plug makes a machine and its cable.
func (n *network) plug(name string) error {
	ends := strings.Split(n.addresses[name], ".")
	for _, command := range []string{
		"ip netns add " + name,
		"ip link add " + cable(name) + " type veth peer name eth0 netns " + name,
		"ip link set " + cable(name) + " master " + bridge + " up",
		"ip -n " + name + " link set lo up",
		// Its hardware address stays: after a power cut the others still know it.
		"ip -n " + name + " link set eth0 address 02:00:00:00:00:" + fmt.Sprintf("%02s", ends[3]),
		"ip -n " + name + " addr add " + n.addresses[name] + "/24 dev eth0",
		"ip -n " + name + " link set eth0 up",
	} {
		if err := sh(command); err != nil {
			return err
		}
	}
	return nil
}

// unplug takes a machine off, with all that its kernel had: nobody hears of the
// end of a connection. Its processes have ended, or end unheard.
func (n *network) unplug(name string) error {
	return errors.Join(sh("ip link set "+cable(name)+" down"), sh("ip link del "+cable(name)), sh("ip netns del "+name))
}

// cable is the switch's end of a machine's cable.
func cable(name string) string { return "to-" + name }

// enter is what puts a program on a machine.
func enter(name string) []string { return []string{"nsenter", "--net=" + namespaces + name, "--"} }

// traffic names what goes from one machine to another, in nft's words.
func (n *network) traffic(from, to string) string {
	words := "ip version 4"
	if from != anyone {
		words = "ip saddr " + n.addresses[from]
	}
	if to != anyone {
		words += " ip daddr " + n.addresses[to]
	}
	return words
}

// drop keeps packets from one machine from reaching another, percent of them.
func (n *network) drop(from, to string, percent int) error {
	rule := n.traffic(from, to)
	if percent < 100 {
		rule += fmt.Sprintf(" numgen random mod 100 < %d", percent)
	}
	n.rules[rule+" drop"] = true
	return n.apply()
}

// cut is drop of everything, both ways.
func (n *network) cut(a, b string) error {
	return errors.Join(n.drop(a, b, 100), n.drop(b, a, 100))
}

// mend lets everything pass again, as fast as it can.
func (n *network) mend() error {
	clear(n.rules)
	errs := []error{n.apply()}
	for name, w := range n.wires {
		errs = append(errs, n.shorten(name, w))
	}
	return errors.Join(errs...)
}

// apply gives the switch its rules, all at once.
func (n *network) apply() error {
	text := "table bridge wires {}\ndelete table bridge wires\ntable bridge wires {\nchain rules {\n" +
		strings.Join(slices.Sorted(maps.Keys(n.rules)), "\n") + "\n}\n"
	for _, hook := range []string{"forward", "input", "output"} {
		text += "chain " + hook + " { type filter hook " + hook + " priority 0; jump rules; }\n"
	}
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text + "}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the switch did not take %s: %w: %s", text, err, out)
	}
	return nil
}

// limit slows what a machine sends down to a rate such as 1mbit, in tc's words;
// an empty one ends it.
func (n *network) limit(name, rate string) error {
	if rate == "" {
		return sh("ip netns exec " + name + " tc qdisc del dev eth0 root")
	}
	return sh("ip netns exec " + name + " tc qdisc add dev eth0 root tbf rate " + rate + " burst 16kb latency 300ms")
}

// pull unplugs a cable at the switch, or plugs it in again.
func (n *network) pull(name string, in bool) error {
	if in {
		return sh("ip link set " + cable(name) + " up")
	}
	return sh("ip link set " + cable(name) + " down")
}

// lengthen makes a machine's cable so long that each packet is under way for
// some time, either way: netem is not in every kernel, so the run carries them itself.
func (n *network) lengthen(name string, delay, jitter time.Duration) error {
	near, far := "near-"+name, "far-"+name
	for _, command := range []string{
		"ip link set " + cable(name) + " nomaster arp off",
		"ip link add " + near + " type veth peer name " + far,
		"ip link set " + far + " master " + bridge + " up",
		"ip link set " + near + " arp off up",
	} {
		if err := sh(command); err != nil {
			return err
		}
	}
	w, err := layWire(cable(name), near, delay, jitter)
	if err == nil {
		n.wires[name] = w
	}
	return err
}

func (n *network) shorten(name string, w *wire) error {
	w.close()
	delete(n.wires, name)
	return errors.Join(sh("ip link del near-"+name), sh("ip link set "+cable(name)+" arp on master "+bridge))
}

// reachable waits until something listens at an address.
func reachable(ctx context.Context, address string) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at %s: %w", address, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// sh runs a command of words without spaces in them.
func sh(command string) error {
	words := strings.Fields(command)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("`%s`: %w: %s", command, err, strings.TrimSpace(string(out)))
	}
	return nil
}
