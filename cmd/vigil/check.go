package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/supervisor"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Check a configuration and print the plan",
		Long: "Check a configuration. Mistakes are printed one a line as file:line:column, and the\n" +
			"exit code is 1; without mistakes the plan is printed: what starts in which order,\n" +
			"when it is started again, and when vigil gives up. Users, directories and programs that\n" +
			"do not exist on this machine are warnings. The files are those of vigil up.",
		Example: "  vigil check shop.toml",
		RunE: a.do(func(_ *cobra.Command, files []string) error {
			return a.check(files)
		}),
	}
}

func (a *app) check(files []string) error {
	c, err := loadConfig(files)
	if err != nil {
		a.mistakes(err)
		return &exit{code: exitFailed}
	}
	if _, err := fmt.Fprint(a.out, a.clean(a.out, config.Plan(c)+startOrder(c))); err != nil {
		return fmt.Errorf("cannot write plan: %w", err)
	}
	// It may be for another machine, or what is missing may come: a warning.
	for _, w := range c.Check() {
		fmt.Fprintln(a.err, a.clean(a.err, "warning: on this machine: "+w.Error()))
	}
	return nil
}

// startOrder says what is started in which order, when there is more than one
// service. Those of a line do not wait for each other.
func startOrder(c *config.Config) string {
	if len(c.Services) < 2 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nstart order (stopped in reverse)\n")
	for i, level := range supervisor.OrderOf(c).Levels() {
		fmt.Fprintf(&b, "  %-10d %s\n", i+1, strings.Join(level, ", "))
	}
	return b.String()
}
