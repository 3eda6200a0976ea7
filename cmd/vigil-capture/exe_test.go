package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/binaries"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestReplacedExecutable: a new version is installed between the death of a
// process and the reading of its core.
func TestReplacedExecutable(t *testing.T) {
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("kept=%v", kept), func(t *testing.T) {
			path, store, dir := filepath.Join(t.TempDir(), "target"), t.TempDir(), t.TempDir()
			copyFile(t, target(t, "pie", "-buildmode=pie"), path)
			cmd := start(t, path, "TARGET_IDLE=10")
			// The path on disk is what the capture names, since the store is empty yet.
			mustHelp(t, "freeze", "--pid", fmt.Sprint(cmd.Process.Pid), "--dir", dir, "--binaries", store)
			if r := read[snapshot.Capture](t, dir, snapshot.FileCapture); r.Exe != path || r.ExeCopied || r.ExeID == "" {
				t.Fatalf("executable %q, %q", r.Exe, r.ExeID)
			}
			if kept {
				if err := binaries.Keep(store, cmd.Process.Pid, path); err != nil {
					t.Fatal(err)
				}
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			copyFile(t, target(t, "optimised"), path)
			code, _, errs := helper(t, "analyze", "--dir", dir, "--binaries", store)
			if !kept {
				missing := strings.Join(read[snapshot.Capture](t, dir, snapshot.FileCapture).Missing, ";")
				if code != 1 || !strings.Contains(missing, "another build than the one that ran") {
					t.Errorf("exit code %d, missing %q: %s", code, missing, errs)
				}
				return
			}
			s := read[snapshot.Stacks](t, dir, snapshot.FileStacks)
			if g, f, ok := group(s, "main.park"); code != 0 || !ok || g.Count != 10 || value(f.Arguments, "number").Value != "4711" {
				t.Errorf("exit code %d, group %+v: %s", code, g, errs)
			}
		})
	}
}

// TestExecutableOfStore: with a store that has it, the executable is not copied.
func TestExecutableOfStore(t *testing.T) {
	path, store, dir := filepath.Join(t.TempDir(), "target"), t.TempDir(), t.TempDir()
	copyFile(t, target(t, "optimised"), path)
	cmd := start(t, path, "TARGET_IDLE=10")
	if err := binaries.Keep(store, cmd.Process.Pid, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustHelp(t, "freeze", "--pid", fmt.Sprint(cmd.Process.Pid), "--dir", dir, "--binaries", store)
	if r := read[snapshot.Capture](t, dir, snapshot.FileCapture); r.ExeCopied || filepath.Dir(r.Exe) != store {
		t.Errorf("executable %q, copied %v", r.Exe, r.ExeCopied)
	}
	mustHelp(t, "analyze", "--dir", dir)
	if g, _, ok := group(read[snapshot.Stacks](t, dir, snapshot.FileStacks), "main.park"); !ok || g.Count != 10 {
		t.Errorf("group %+v", g)
	}
}
