// Package tidy holds the shape of the house: which way imports point, and how
// large things may grow. A limit that makes code worse is changed here, with
// the reason beside it.
package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root = "../.."

	// A function longer than a screen hides its own middle.
	maxFunctionLines = 70
	// A file longer than this is about more than one noun.
	maxFileLines = 600
	// A subcommand's file parses flags and calls a package; logic does not live there.
	maxCommandLines = 150
	// A package with more names than this is a drawer.
	maxExported = 20
	// The root package is the vocabulary of the whole system: a name for each thing
	// that crosses the border of a package; storage alone brought two dozen, and the
	// story of a failover a dozen, who may do what half a dozen and one to take it back, who
	// used what two, and the leases of a site are a list of their own, which sites share.
	maxExportedRoot = 150
)

// floors lists the packages from the ground up: a package imports only packages
// of lower floors. A package that is missing here fails the test, so that a new
// one is given its place on purpose.
var floors = [][]string{
	{".", "web", "internal/child"},
	{"internal/remote", "internal/vault"},
	{"internal/fs", "internal/fmp4", "internal/wire", "internal/listen", "internal/config", "internal/mqtt", "internal/kerberos", "internal/openid", "internal/directory", "internal/incident", "internal/declare", "internal/bundle", "internal/seal", "internal/outbox", "internal/usage", "internal/postgres", "internal/supervise"},
	{"internal/identity", "internal/stream", "internal/management", "internal/archive", "internal/channel", "internal/api", "client", "internal/merge", "internal/metrics", "internal/notify"},
	{"internal/poll", "internal/storage", "internal/rtsp", "internal/media", "internal/testcam", "internal/sqlstore"},
	{"internal/recording"},
	{"internal/failover"},
	{"internal/site"},
	{"internal/sim", "internal/drill", "internal/bench"},
	{"internal/sim/play", "internal/sim/canaries"},
	{"cmd/understudy"},
}

// testOnly packages are imported by tests only, and may import what they test.
var testOnly = map[string]bool{"internal/tidy": true, "internal/management/storetest": true, "internal/sqlstore/pgtest": true, "internal/archive/archivetest": true, "internal/vault/vaulttest": true, "internal/media/mediatest": true, "internal/fmp4/fmp4test": true, "test": true, "test/crash": true, "test/campaign": true}

type source struct {
	path string // relative to the root, with slashes
	pkg  string // directory
	test bool
	file *ast.File
	set  *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && rel != "." || rel == "tools" || entry.Name() == "node_modules" || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(rel, ".go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{path: rel, pkg: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), file: file, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d Go files below %s; the test looks in the wrong place", len(all), root)
	}
	return all
}

func floorOf(pkg string) (int, bool) {
	for floor, packages := range floors {
		for _, p := range packages {
			if p == pkg {
				return floor, true
			}
		}
	}
	return 0, false
}

func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || testOnly[s.pkg] {
			continue
		}
		floor, ok := floorOf(s.pkg)
		if !ok {
			t.Errorf("%s: package %s has no floor; give it one in internal/tidy", s.path, s.pkg)
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if imported == "understudy" {
				imported = "understudy/."
			}
			below, ours := strings.CutPrefix(imported, "understudy/")
			if !ours {
				if s.pkg == "." && strings.Contains(strings.Split(imported, "/")[0], ".") {
					t.Errorf("%s imports %s; the vocabulary imports the standard library only", s.path, imported)
				}
				continue
			}
			if target, ok := floorOf(below); !ok || target >= floor {
				t.Errorf("%s imports %s, which is not below it", s.path, below)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		lines := s.set.Position(s.file.End()).Line
		switch {
		case lines > maxFileLines:
			t.Errorf("%s has %d lines, more than %d", s.path, lines, maxFileLines)
		case s.pkg == "cmd/understudy" && !s.test && lines > maxCommandLines:
			t.Errorf("%s has %d lines, more than the %d of a subcommand", s.path, lines, maxCommandLines)
		}
		for _, declaration := range s.file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Body == nil || s.test {
				continue
			}
			from, to := s.set.Position(function.Pos()).Line, s.set.Position(function.End()).Line
			if to-from+1 > maxFunctionLines {
				t.Errorf("%s:%d: %s has %d lines, more than %d", s.path, from, function.Name.Name, to-from+1, maxFunctionLines)
			}
		}
	}
}

func TestExportedNames(t *testing.T) {
	exported := map[string][]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, declaration := range s.file.Decls {
			exported[s.pkg] = append(exported[s.pkg], names(declaration)...)
		}
	}
	for pkg, list := range exported {
		limit := maxExported
		if pkg == "." {
			limit = maxExportedRoot
		}
		if len(list) > limit {
			t.Errorf("package %s exports %d names, more than %d: %s", pkg, len(list), limit, strings.Join(list, " "))
		}
	}
}

// names returns the exported top-level names of a declaration. Constants of a
// type count with their type, as one name.
func names(declaration ast.Decl) []string {
	var list []string
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.IsExported() {
			list = append(list, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
				list = append(list, s.Name.Name)
			}
		}
	}
	return list
}

func TestNoDrawers(t *testing.T) {
	for _, s := range sources(t) {
		for _, word := range []string{"manager", "util", "utils", "common", "core", "helper", "helpers"} {
			if path.Base(s.pkg) == word {
				t.Errorf("%s: a package named %s has no subject", s.path, word)
			}
		}
	}
}

func TestEachPackageSaysWhatItIs(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test && s.pkg != "internal/tidy" {
			continue
		}
		seen[s.pkg] = true
		documented[s.pkg] = documented[s.pkg] || s.file.Doc != nil
	}
	for pkg := range seen {
		if !documented[pkg] {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}
