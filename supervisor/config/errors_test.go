package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden compares a file with what it should hold; -update writes it.
func golden(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it by: go test ./supervisor/config -update", err)
	}
	if string(have) != want {
		t.Errorf("%s is not current; write it by go test ./supervisor/config -update, and read the difference. Now it would be\n%s", path, want)
	}
}

// TestErrors loads each of testdata/errors, NAME.1.toml and NAME.2.toml
// together, and compares the message with NAME.txt.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	groups := map[string][]string{}
	for _, f := range files {
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		groups[name] = append(groups[name], f)
	}
	for name, files := range groups {
		t.Run(name, func(t *testing.T) {
			c, err := Load(files)
			if err == nil {
				t.Fatal("no error")
			}
			if c != nil {
				t.Error("a configuration beside an error")
			}
			list, ok := errors.AsType[Errors](err)
			if !ok {
				t.Fatalf("error is a %T", err)
			}
			if len(list) > MaxErrors+1 {
				t.Errorf("%d errors", len(list))
			}
			text := strings.ReplaceAll(err.Error(), "testdata/errors/", "") + "\n"
			golden(t, "testdata/errors/"+name+".txt", text)
		})
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.toml")
	if err := os.WriteFile(large, make([]byte, MaxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none.toml"): "cannot open it: no such file or directory",
		dir:                             "cannot read it: is a directory",
		large:                           "cannot read it: it is larger than 4194304 bytes",
	} {
		_, err := Load([]string{file})
		if err == nil || err.Error() != file+": "+want {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// A file of nothing but mistakes, and one that is nested as deeply as it can
// be, are refused in bounded time and memory.
func TestHostileFiles(t *testing.T) {
	dir := t.TempDir()
	var keys strings.Builder
	keys.WriteString("[service.web]\n")
	for i := 0; keys.Len() < MaxFileSize-100; i++ {
		fmt.Fprintf(&keys, "zz%d=1\n", i)
	}
	for name, text := range map[string]string{
		"keys":   keys.String(),
		"nested": "a=" + strings.Repeat("[", MaxFileSize-2),
		"deep":   "a=" + strings.Repeat("[", maxBrackets),
		"tables": strings.Repeat("[a]\n", 100_000),
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load([]string{file})
		list, ok := errors.AsType[Errors](err)
		if !ok || len(list) > MaxErrors+1 {
			t.Errorf("%s: %d errors", name, len(list))
		}
	}
}
