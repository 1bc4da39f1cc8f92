package understudy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	us "understudy"
)

// TestEventKindsAreAll reads the constants where they stand, so that a kind
// that is added cannot be forgotten where all of them are counted or offered.
func TestEventKindsAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, kind := range us.EventKinds() {
		listed[`"`+string(kind)+`"`] = true
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		constant, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := constant.Type.(*ast.Ident); ok && kind.Name == "EventKind" {
			declared++
			if value := constant.Values[0].(*ast.BasicLit).Value; !listed[value] {
				t.Errorf("EventKinds does not return %s, %s", constant.Names[0], value)
			}
		}
		return true
	})
	if declared == 0 || declared != len(us.EventKinds()) {
		t.Errorf("%d kinds are declared and %d returned", declared, len(us.EventKinds()))
	}
}
