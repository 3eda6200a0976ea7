package main

import (
	"reflect"
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

// parse reads flags of run.
func parse(t *testing.T, args []string) (*runFlags, *pflag.FlagSet) {
	t.Helper()
	var f runFlags
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.add(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &f, flags
}

// TestFlagsReachTheSupervisor: what the supervisor reads is what run was given.
func TestFlagsReachTheSupervisor(t *testing.T) {
	all := []string{
		"--restart=never", "--heartbeat=10s", "--ready=notify", "--user=www", "--group=--x", "--directory=/srv",
		"--env=A=1", "--env=B=two words, and a comma", "--env=C=", "--stop-signal=INT", "--stop-timeout=1s",
		"--start-timeout=2d", "--capture-budget=5s",
	}
	for _, args := range [][]string{nil, all, {"--restart=always"}, {"--env=X=--env"}} {
		given, flags := parse(t, args)
		passed := given.pass(flags)
		read, _ := parse(t, passed)
		if !reflect.DeepEqual(given, read) {
			t.Errorf("%q became %q:\n%+v\n%+v", args, passed, given, read)
		}
		if len(passed) != len(args) {
			t.Errorf("%q became %q", args, passed)
		}
	}
	_, flags := parse(t, all)
	flags.VisitAll(func(f *pflag.Flag) {
		if !slices.ContainsFunc(all, func(a string) bool { return len(a) > 2+len(f.Name) && a[2:2+len(f.Name)] == f.Name }) {
			t.Errorf("this test forgets --%s", f.Name)
		}
	})
}
