package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/place"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

// runFlags are what `vigil run` says about its service. The hidden supervisor
// command has the same flags: pass writes them, and they are read again there.
type runFlags struct {
	restart, heartbeat, ready             string
	user, group, directory                string
	environment                           []string
	stopSignal, stopTimeout, startTimeout string
	captureBudget                         string
}

func (f *runFlags) add(flags *pflag.FlagSet) {
	flags.Var(&choice{value: &f.restart, initial: "always", allowed: []string{"always", "on-failure", "never"}}, "restart", "when to start it again: always, on-failure, never")
	flags.StringVar(&f.heartbeat, "heartbeat", "", "longest silence of a service that sends beats, as 10s")
	flags.Var(&choice{value: &f.ready, initial: "none", allowed: []string{"notify", "none"}}, "ready", "how it says that it is ready: notify (READY=1 of sd_notify), none")
	flags.StringVar(&f.user, "user", "", "user to run as, name or number")
	flags.StringVar(&f.group, "group", "", "group to run as (default the user's)")
	flags.StringVar(&f.directory, "directory", "", "working directory")
	flags.StringArrayVar(&f.environment, "env", nil, "environment variable, NAME=VALUE; may be repeated")
	flags.StringVar(&f.stopSignal, "stop-signal", "", "signal that asks it to end (default TERM)")
	flags.StringVar(&f.stopTimeout, "stop-timeout", "", "how long it may take to end before it is killed")
	flags.StringVar(&f.startTimeout, "start-timeout", "", "how long it may take to become ready")
	flags.StringVar(&f.captureBudget, "capture-budget", "", "how long the capture of a hang may hold the service")
	for _, name := range []string{"heartbeat", "stop-timeout", "start-timeout", "capture-budget"} {
		flags.Lookup(name).DefValue = ""
	}
}

// check finds mistakes before anything is started. What it lets through the
// configuration checks again.
func (f *runFlags) check() error {
	for _, d := range []struct{ name, value string }{
		{"heartbeat", f.heartbeat}, {"stop-timeout", f.stopTimeout},
		{"start-timeout", f.startTimeout}, {"capture-budget", f.captureBudget},
	} {
		if d.value == "" {
			continue
		}
		if _, err := config.ParseDuration(d.value); err != nil {
			return usagef("cannot use --%s: %w", d.name, err)
		}
	}
	if f.stopSignal != "" {
		if _, err := config.ParseSignal(f.stopSignal); err != nil {
			return usagef("cannot use --stop-signal: %w", err)
		}
	}
	for _, e := range f.environment {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return usagef("cannot use --env %q: it is not NAME=VALUE", e)
		}
	}
	return nil
}

// pass writes the flags that were given, for the supervisor.
func (f *runFlags) pass(flags *pflag.FlagSet) []string {
	var args []string
	known := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(runFlags).add(known)
	known.VisitAll(func(k *pflag.Flag) {
		if !flags.Changed(k.Name) {
			return
		}
		switch k.Name {
		case "env":
			for _, e := range f.environment {
				args = append(args, "--env="+e)
			}
		case "directory":
			args = append(args, "--directory="+f.directory)
		default:
			args = append(args, "--"+k.Name+"="+flags.Lookup(k.Name).Value.String())
		}
	})
	return args
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	var quiet bool
	cmd := &cobra.Command{
		Use:   "run [flags] -- CMD ARG...",
		Short: "Supervise one command in the foreground",
		Long: "Supervise one command in the foreground: start it again when it ends, by --restart,\n" +
			"and keep the evidence. When it has ended for good, or after TERM or INT, vigil ends\n" +
			"with its exit code, 128+N if signal N ended it, 127 if it was not found and 126 if\n" +
			"it cannot be executed.",
		Example: "  vigil run --name web --restart on-failure -- ./server -listen :8080",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" {
				return usagef("name a command to run")
			}
			return nil
		},
		RunE: a.do(func(cmd *cobra.Command, command []string) error {
			return a.runOne(&f, cmd.Flags(), quiet, command)
		}),
	}
	cmd.Flags().SetInterspersed(false) // what follows CMD is the command's
	f.add(cmd.Flags())
	a.addSilence(cmd.Flags())
	cmd.Flags().BoolVar(&quiet, "quiet", false, "do not show the output of the service")
	return cmd
}

func (a *app) runOne(f *runFlags, flags *pflag.FlagSet, quiet bool, command []string) error {
	if err := f.check(); err != nil {
		return err
	}
	if a.name == "" {
		a.name = filepath.Base(command[0])
		if place.CheckName(a.name) != nil {
			return usagef("%q cannot be the name of an instance; give one by --name", a.name)
		}
	}
	if f.directory != "" {
		dir, err := filepath.Abs(f.directory)
		if err != nil {
			return usagef("cannot use --directory: %w", err)
		}
		f.directory = dir
	}
	args := append([]string{"--run"}, f.pass(flags)...)
	if !quiet {
		args = append(args, "--echo")
	}
	args = append(args, "--")
	return a.keep(append(args, command...))
}

// addSilence adds a hidden flag for tests: how long the supervisor may give no
// sign of life before the keeper ends it.
func (a *app) addSilence(flags *pflag.FlagSet) {
	flags.DurationVar(&a.silence, "supervisor-timeout", 0, "for tests: longest silence of vigil's own supervisor")
	_ = flags.MarkHidden("supervisor-timeout") // it exists
}

// keep becomes the keeper of a supervisor with these arguments.
func (a *app) keep(supervisor []string) error {
	p, err := place.Resolve(a.options())
	if err != nil {
		return system(err)
	}
	if _, err := p.Socket(control.SocketName); err != nil {
		return err
	}
	if err := p.Create(); err != nil {
		return system(err)
	}
	argv := append([]string{"supervisor", "--name=" + p.Name, "--runtime-dir=" + p.Runtime, "--state-dir=" + p.State}, supervisor...)
	code, err := runKeeper(p, argv, a.silence)
	if err != nil {
		return err
	}
	if code != exitDone {
		return &exit{code: code}
	}
	return nil
}
