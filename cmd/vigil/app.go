package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/internal/place"
)

// app is one run of the command.
type app struct {
	out, err *os.File
	root     *cobra.Command
	place    place.Options // environment and user, without flags
	started  bool          // the command line was good, and the command itself runs

	atEnd   []func()      // what a command leaves to be put away
	silence time.Duration // of the supervisor, a hidden flag of run and up

	// Flags of every command.
	name, runtimeDir, stateDir, color string
}

// run runs the command line and returns the exit code.
func run(args []string, out, errOut *os.File) int { return newApp(out, errOut).run(args) }

func (a *app) run(args []string) int {
	defer func() {
		for _, f := range a.atEnd {
			f()
		}
	}()
	a.root.SetArgs(args)
	cmd, err := a.root.ExecuteContextC(context.Background())
	if err == nil {
		return exitDone
	}
	if e, ok := err.(*exit); ok && e.err == nil {
		return e.code
	}
	if !a.started {
		// Whatever fails before the command runs is about the command line.
		err = &exit{exitUsage, err}
	}
	a.complain(err)
	code := codeOf(err)
	if code == exitUsage && !cmd.Hidden {
		fmt.Fprintf(a.err, "Run '%s --help' for its usage.\n", cmd.CommandPath())
	}
	return code
}

// complain writes an error to standard error.
func (a *app) complain(err error) {
	fmt.Fprintf(a.err, "vigil: %s\n", a.clean(a.err, err.Error()))
}

// note writes something worth knowing to standard error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "vigil: %s\n", a.clean(a.err, fmt.Sprintf(format, args...)))
}

func newApp(out, errOut *os.File) *app {
	a := &app{out: out, err: errOut, place: place.Ours()}
	a.root = a.newRoot()
	return a
}

func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "vigil",
		Short: "Keep services up, and never let one die without evidence",
		Long: "vigil keeps services up, knows whether they are really alive, and never lets\n" +
			"one die without evidence.",
		Example:       "  vigil run -- redis-server --port 7000\n  vigil up shop.toml",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          a.unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.err)
			_ = cmd.Help()
			return &exit{code: exitUsage}
		},
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.StringVar(&a.name, "name", "", "name of the instance (default \"default\"; for run the base name of the command)")
	f.StringVar(&a.runtimeDir, "runtime-dir", "", "runtime directory, as it is (default by name; $VIGIL_RUNTIME_DIR)")
	f.StringVar(&a.stateDir, "state-dir", "", "state directory, as it is (default by name; $VIGIL_STATE_DIR)")
	f.Var(&choice{value: &a.color, initial: "auto", allowed: []string{"auto", "always", "never"}}, "color", "colours: auto, always, never ($NO_COLOR)")
	root.AddCommand(
		a.runCommand(), a.upCommand(), a.checkCommand(), a.statusCommand(),
		a.askCommand(startAsk), a.askCommand(stopAsk), a.askCommand(restartAsk),
		a.snapshotCommand(), a.doctorCommand(), a.reloadCommand(), a.reopenCommand(), a.signalCommand(), a.signalsCommand(),
		a.logsCommand(), a.eventsCommand(), a.incidentsCommand(), a.browseCommand(), a.versionCommand(),
		a.supervisorCommand(),
	)
	return root
}

// unknownCommand is the check of arguments of a command that has only commands.
func (a *app) unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return usagef("%s", text)
}

// do makes the RunE of a command.
func (a *app) do(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return f(cmd, args)
	}
}

// options says which place the flags mean.
func (a *app) options() place.Options {
	o := a.place
	o.Name, o.RuntimeDir, o.StateDir = a.name, a.runtimeDir, a.stateDir
	return o
}

// choice is a flag with few values.
type choice struct {
	value   *string
	initial string
	allowed []string
}

func (c *choice) String() string {
	if c.value == nil || *c.value == "" {
		return c.initial
	}
	return *c.value
}

func (c *choice) Set(s string) error {
	for _, a := range c.allowed {
		if s == a {
			*c.value = s
			return nil
		}
	}
	return fmt.Errorf("it is one of %s", strings.Join(c.allowed, ", "))
}

func (c *choice) Type() string { return strings.Join(c.allowed, "|") }
