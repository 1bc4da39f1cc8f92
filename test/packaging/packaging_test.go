// Package packaging_test builds the Debian package, installs it with dpkg into a
// root of its own, and lets systemd's own tools judge what is in it.
package packaging_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const repository = "../.."

var roles = []string{"management", "channel", "recording", "failover"}

// run runs a program and returns what it said; it must succeed.
func run(t *testing.T, environment []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Env = append(os.Environ(), environment...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// build makes the package of a version and returns its file.
func build(t *testing.T, binary, version string) string {
	t.Helper()
	folder := t.TempDir()
	run(t, []string{"VERSION=" + version, "BINARY=" + binary, "TARGET=" + folder}, filepath.Join(repository, "scripts/package.sh"))
	files, err := filepath.Glob(filepath.Join(folder, "understudy_"+version+"_*.deb"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the package of version %s was not made: %v %v", version, files, err)
	}
	return files[0]
}

// program builds the program itself.
func program(t *testing.T) string {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join(t.TempDir(), "understudy"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", binary, "understudy/cmd/understudy")
	return binary
}

// machine is a root folder with nothing in it but dpkg's own.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	for _, tool := range []string{"dpkg", "systemd-sysusers", "systemd-tmpfiles", "systemd-analyze"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed: run scripts/install-test-tools.sh", tool)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("dpkg gives files to other users, which only root may: run as root")
	}
	m := machine{t, t.TempDir()}
	for _, folder := range []string{"etc", "var/lib/dpkg/updates", "var/lib/dpkg/info", "usr/lib/systemd/system"} {
		if err := os.MkdirAll(m.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write("var/lib/dpkg/status", "")
	m.write("var/lib/dpkg/available", "")
	return m
}

func (m machine) path(name string) string { return filepath.Join(m.root, name) }

func (m machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), 0o644); err != nil { //nolint:gosec // as packages have it
		m.t.Fatal(err)
	}
}

func (m machine) read(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// dpkg runs it on this root; its maintainer scripts are told of it by DPKG_ROOT.
func (m machine) dpkg(arguments ...string) string {
	m.t.Helper()
	return run(m.t, []string{"DEBIAN_FRONTEND=noninteractive"}, "dpkg", append([]string{
		"--root=" + m.root, "--force-depends", "--force-script-chrootless", "--force-confdef", "--force-confold",
	}, arguments...)...)
}

// readAll reads what the package is made of, so that go test, which sees what a
// test reads but not what its programs do, runs it again when that changes.
func readAll(t *testing.T) {
	t.Helper()
	for _, root := range []string{"packaging", "scripts/package.sh", "tools/nfpm/go.mod"} {
		err := filepath.WalkDir(filepath.Join(repository, root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			_, err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePackage(t *testing.T) {
	readAll(t)
	m, binary := newMachine(t), program(t)
	m.dpkg("--install", build(t, binary, "1.0.0"))

	if out := run(t, nil, m.path("usr/bin/understudy"), "--version"); !strings.Contains(out, "understudy version") {
		t.Errorf("the program says %q", out)
	}
	for _, page := range []string{"understudy.1.gz", "understudy-camera-import.1.gz", "understudy-recording.1.gz"} {
		if out := run(t, nil, "man", "--warnings", "--pager=cat", m.path("usr/share/man/man1/"+page)); !strings.Contains(out, "SYNOPSIS") || strings.Contains(out, "warning") {
			t.Errorf("the manual page %s is %.300s", page, out)
		}
	}
	run(t, nil, "bash", "-n", m.path("usr/share/bash-completion/completions/understudy"))
	if out := m.dpkg("--verify", "understudy"); out != "" {
		t.Errorf("what was installed is not what was packed: %s", out)
	}
	if user := m.read("etc/passwd"); !strings.HasPrefix(user, "understudy:") || !strings.Contains(user, "nologin") {
		t.Errorf("the user is not one that only runs servers: %s", user)
	}
	for path, want := range map[string]os.FileMode{"etc/understudy/credentials": 0o700, "etc/understudy": 0o750, "var/lib/understudy": 0o750} {
		if info, err := os.Stat(m.path(path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is to be %v: %v %v", path, want, info, err)
		}
	}
	m.requireUnits()

	// Upgraded: what was set stays, what was not is as the package has it.
	const mine = "# mine\nhosts: [10.0.0.11]\n"
	m.write("etc/understudy/recording.yaml", mine)
	m.write("var/lib/understudy/footage", "evidence")
	m.dpkg("--install", build(t, binary, "1.1.0"))
	if got := m.read("etc/understudy/recording.yaml"); got != mine {
		t.Errorf("the upgrade changed the operator's configuration to %s", got)
	}
	if got := run(t, nil, "dpkg-query", "--admindir="+m.path("var/lib/dpkg"), "--show", "understudy"); !strings.Contains(got, "1.1.0") {
		t.Errorf("after the upgrade there is %s", got)
	}
	m.dpkg("--remove", "understudy")
	if _, err := os.Stat(m.path("usr/bin/understudy")); !os.IsNotExist(err) {
		t.Errorf("the program is still there: %v", err)
	}
	if out := m.dpkg("--purge", "understudy"); m.read("var/lib/understudy/footage") != "evidence" || !strings.Contains(out, "stay; remove them yourself") {
		t.Errorf("purging must leave footage, and say so: %s", out)
	}
}

// requireUnits lets systemd read the units as it would at a start, and say how
// much they may do: from 0, nothing, to 10, everything.
func (m machine) requireUnits() {
	m.t.Helper()
	// Beside the targets that systemd itself has.
	run(m.t, nil, "cp", "-rn", "/usr/lib/systemd/system/.", m.path("usr/lib/systemd/system"))
	for _, role := range roles {
		unit := fmt.Sprintf("understudy-%s.service", role)
		if out := run(m.t, nil, "systemd-analyze", "verify", "--root="+m.root, "--recursive-errors=no", unit); out != "" {
			m.t.Errorf("systemd finds fault with %s: %s", unit, out)
		}
		run(m.t, nil, "systemd-analyze", "security", "--root="+m.root, "--offline=yes", "--no-pager", "--threshold=20", unit) // 2.0 at most
	}
}
