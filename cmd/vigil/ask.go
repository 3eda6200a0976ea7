package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

// verb is a command that changes services.
type verb struct {
	verb  control.Verb
	short string
	wait  string
}

// askCommand makes the command of a verb.
func (a *app) askCommand(v verb) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:     string(v.verb) + " SERVICE...",
		Short:   v.short,
		Long:    v.short + ".\nWithout --no-wait it returns when " + v.wait + ";\nexit code 1 when that fails.",
		Example: "  vigil " + string(v.verb) + " web",
		Args:    someService,
		RunE: a.do(func(cmd *cobra.Command, services []string) error {
			return a.ask(cmd.Context(), control.Ask{Verb: v.verb, Services: services, Wait: !noWait})
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is done")
	return cmd
}

func (a *app) ask(ctx context.Context, order control.Ask) error {
	var parts []share
	err := a.patiently(ctx, func(ctx context.Context) (err error) {
		parts, err = a.shares(ctx, order.Services)
		return err
	})
	if err != nil {
		return err
	}
	failed := 0
	for _, p := range parts {
		order.Services = p.services
		results, err := a.askOnce(ctx, p, order)
		if err != nil {
			return fmt.Errorf("cannot %s %s: %w", order.Verb, strings.Join(p.services, ", "), err)
		}
		for _, r := range results {
			if !a.result(order, r) {
				failed++
			}
		}
	}
	if failed > 0 {
		return &exit{code: exitFailed}
	}
	return nil
}

// askOnce has an order carried out once, though the supervisor may be replaced
// meanwhile and is asked again then: to be up or down is the same order twice,
// and a restart names the instances that it is about.
func (a *app) askOnce(ctx context.Context, p share, order control.Ask) (results []control.Result, err error) {
	err = a.patiently(ctx, func(ctx context.Context) error {
		if order.Verb == control.Restart && order.Beyond == nil {
			list, err := p.Services(ctx, order.Services)
			if err != nil {
				return err
			}
			order.Beyond = map[string]uint64{}
			for _, s := range list {
				order.Beyond[s.Service] = s.Instance
			}
		}
		results, err = p.Ask(ctx, order)
		return err
	})
	return results, err
}

// result tells what came of an order, and whether that is what was wanted.
func (a *app) result(order control.Ask, r control.Result) bool {
	switch {
	case r.Error != "":
		a.note("cannot %s %s: %s", order.Verb, r.Service, r.Error)
		return false
	case order.Wait && !r.Done:
		a.note("cannot %s %s: it is %s", order.Verb, r.Service, r.State)
		return false
	case order.Wait:
		fmt.Fprintf(a.out, "%s is %s\n", r.Service, r.State)
	}
	return true
}
