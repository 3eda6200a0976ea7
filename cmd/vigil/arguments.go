package main

import "github.com/spf13/cobra"

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, as %q", cmd.CommandPath(), args[0])
	}
	return nil
}

func atMostOne(noun string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("too many arguments: name at most one %s", noun)
		}
		return nil
	}
}

func someService(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("name at least one service")
	}
	return nil
}
