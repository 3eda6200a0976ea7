package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (a *app) upCommand() *cobra.Command {
	var echo bool
	cmd := &cobra.Command{
		Use:   "up [FILE...]",
		Short: "Supervise all services of a configuration in the foreground",
		Long: "Supervise all services of the configuration in the foreground, until TERM or INT;\n" +
			"then stop them, in the reverse of the order in which they are started, and end with 0.\n" +
			"Without FILE it reads ./vigil.toml, or else /etc/vigil/vigil.toml and\n" +
			"/etc/vigil/conf.d/*.toml. A configuration that is wrong starts nothing: exit code 1.",
		Example: "  vigil up --name shop shop.toml",
		RunE: a.do(func(_ *cobra.Command, files []string) error {
			return a.up(echo, files)
		}),
	}
	a.addSilence(cmd.Flags())
	cmd.Flags().BoolVar(&echo, "echo", false, "show the output of the services, with their names")
	return cmd
}

func (a *app) up(echo bool, files []string) error {
	var args []string
	if echo {
		args = append(args, "--echo")
	}
	args = append(args, "--")
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			return system(err)
		}
		args = append(args, path)
	}
	err := a.keep(args)
	// A supervisor that refuses its configuration ends with 2, which the keeper
	// passes on; the command line itself was good when we came here.
	if e, ok := errors.AsType[*exit](err); ok && e.code == exitUsage {
		return &exit{exitFailed, e.err}
	}
	return err
}
