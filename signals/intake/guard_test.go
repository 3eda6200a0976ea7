package intake

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/vigil-supervisor/vigil/"

// exceptions are files that may use os/signal as they like, with the reason. An
// entry whose file no longer needs it is an error: remove it.
var exceptions = map[string]string{
	"keeper/namespace.go": "as pid 1 it makes the signals of program errors harmless when somebody sends them; Start refuses those",
	"cmd/vigil/browse.go": "a command that is never the keeper; it ends its streams and removes its socket",
}

// Everything that is linked into the process of the keeper, dependencies and
// command line included, leaves os/signal alone, but for SIGPIPE, which Start
// does not take: Ignore makes no thread and touches no other signal.
func TestNothingInTheKeeperUsesOsSignal(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,CgoFiles,Imports,Standard", module+"cmd/vigil").Output()
	if err != nil {
		t.Fatalf("cannot list dependencies: %v", err)
	}
	needed := map[string]bool{}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath, Dir   string
			GoFiles, CgoFiles []string
			Imports           []string
			Standard          bool
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		if pkg.ImportPath == "os/signal" {
			continue
		}
		for _, name := range append(pkg.GoFiles, pkg.CgoFiles...) {
			file := strings.TrimPrefix(pkg.ImportPath, module) + "/" + name
			for _, use := range uses(t, filepath.Join(pkg.Dir, name)) {
				if exceptions[file] != "" {
					needed[file] = true
				} else {
					t.Errorf("%s: %s; a signal that the keeper takes must not be touched by os/signal", file, use)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d packages were seen", seen)
	}
	for file := range exceptions {
		if !needed[file] {
			t.Errorf("%s no longer uses os/signal: remove it from the exceptions", file)
		}
	}
}

// uses are the places of a file that use os/signal, but for signal.Ignore and
// signal.Reset of SIGPIPE alone.
func uses(t *testing.T, path string) (found []string) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	local := ""
	for _, imp := range f.Imports {
		if p, _ := strconv.Unquote(imp.Path.Value); p == "os/signal" {
			if local = "signal"; imp.Name != nil {
				local = imp.Name.Name
			}
		}
	}
	if local == "" || local == "_" {
		return nil
	}
	if local == "." {
		return []string{"os/signal is imported with a dot"}
	}
	allowed := map[ast.Node]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) == 1 && isPipe(n.Args[0]) && (sel.Sel.Name == "Ignore" || sel.Sel.Name == "Reset") {
				allowed[sel] = true
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == local && !allowed[n] {
				found = append(found, set.Position(n.Pos()).String()+" "+local+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func isPipe(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "SIGPIPE"
}
