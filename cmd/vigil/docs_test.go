package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/cli.md")

const reference = "../../docs/cli.md"

// TestReference compares docs/cli.md with the commands; -update writes it.
func TestReference(t *testing.T) {
	var b bytes.Buffer
	writeReference(&b)
	if *update {
		if err := os.WriteFile(reference, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, b.Bytes()) {
		t.Errorf("%s is not current; write it by: go test ./cmd/vigil -run TestReference -update", reference)
	}
}

// TestHelp keeps the help in one voice.
func TestHelp(t *testing.T) {
	walk(newApp(os.Stdout, os.Stderr).root, func(c *cobra.Command) {
		if c.Long == "" {
			t.Errorf("%s says nothing", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short %q", c.CommandPath(), c.Short)
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Long) {
			if len(line) > 88 {
				t.Errorf("%s: long line %q", c.CommandPath(), line)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
	})
}

// walk visits the commands that are there for people.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
		return
	}
	visit(c)
	for _, sub := range c.Commands() {
		walk(sub, visit)
	}
}

func writeReference(b *bytes.Buffer) {
	root := newApp(os.Stdout, os.Stderr).root
	b.WriteString("# The command line of vigil\n\n")
	b.WriteString("Generated from the commands; a test keeps it current.\n\n")
	b.WriteString("| command | does |\n|---|---|\n")
	walk(root, func(c *cobra.Command) {
		if c.HasParent() {
			fmt.Fprintf(b, "| [`%s`](#%s) | %s |\n", strings.ReplaceAll(strings.TrimSuffix(c.UseLine(), " [flags]"), "|", "\\|"), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
		}
	})
	b.WriteString("| `vigil completion SHELL` | Print the completion script for bash, zsh, fish or powershell |\n")
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n|---|---|\n")
	for _, e := range exitCodes {
		fmt.Fprintf(b, "| %d | %s |\n", e.code, e.meaning)
	}
	b.WriteString("\n`vigil run` ends with the exit code of its service, 128+N if signal N ended it, 127 if the\n" +
		"command was not found, 126 if it cannot be executed.\n")
	b.WriteString("\n## Flags of every command\n\n")
	writeFlags(b, root.PersistentFlags())
	b.WriteString("\nWithout `--name`, a command that talks to a vigil means the default instance. If that does\n" +
		"not run, or does not have the service, the others are looked through; a service that two of\n" +
		"them have must be told apart by `--name`.\n")
	walk(root, func(c *cobra.Command) {
		if !c.HasParent() {
			return
		}
		fmt.Fprintf(b, "\n## %s\n\n```\n%s\n```\n\n%s.\n", c.CommandPath(), c.UseLine(), strings.TrimSuffix(c.Long, "."))
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
		if c.LocalNonPersistentFlags().HasFlags() {
			b.WriteString("\n")
			writeFlags(b, c.LocalNonPersistentFlags())
		}
	})
}

func writeFlags(b *bytes.Buffer, flags *pflag.FlagSet) {
	b.WriteString("| flag | default | meaning |\n|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		initial := ""
		if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" {
			initial = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, initial, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}
