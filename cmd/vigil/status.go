package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

// watchPeriod is how often `status --watch` looks.
const watchPeriod = time.Second

func (a *app) statusCommand() *cobra.Command {
	var json, watch, pid bool
	cmd := &cobra.Command{
		Use:   "status [SERVICE...]",
		Short: "Show services: state, pid, uptime, beats, restarts, and why",
		Long: "Show services: state, pid, uptime, restarts, readiness, the age of the last beat\n" +
			"against its limit, and why. Of each SERVICE that is named every sign of life follows,\n" +
			"with its age, its limit and its state. Without --name it shows the default instance,\n" +
			"or all that run when that one does not. With --pid it prints one number a line: the\n" +
			"pid of vigil itself, which takes the signals, or of each SERVICE. Exit code 3: nothing\n" +
			"runs, or no such service.",
		Example: "  vigil status --json web",
		RunE: a.do(func(cmd *cobra.Command, services []string) error {
			if pid {
				return a.patiently(cmd.Context(), func(ctx context.Context) error { return a.pids(ctx, services) })
			}
			show := func() error {
				return a.patiently(cmd.Context(), func(ctx context.Context) error { return a.status(ctx, services, json) })
			}
			if watch {
				return a.watch(cmd.Context(), show)
			}
			return show()
		}),
	}
	cmd.Flags().BoolVar(&json, "json", false, "print a list of objects")
	cmd.Flags().BoolVar(&pid, "pid", false, "print only the pid of vigil, or of each SERVICE")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every second")
	cmd.MarkFlagsMutuallyExclusive("pid", "json")
	cmd.MarkFlagsMutuallyExclusive("pid", "watch")
	return cmd
}

// watch shows again and again until it is interrupted.
func (a *app) watch(ctx context.Context, show func() error) error {
	tick := time.NewTicker(watchPeriod)
	defer tick.Stop()
	for {
		if isTerminal(a.out) {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J") // home, clear: ECMA-48 CUP, ED
		}
		if err := show(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *app) status(ctx context.Context, names []string, json bool) error {
	var parts []share
	var others []instance
	if len(names) > 0 {
		var err error
		if parts, err = a.shares(ctx, names); err != nil {
			return err
		}
	} else {
		all, err := a.instances()
		if err != nil {
			return err
		}
		some := chosen(all)
		others = all[len(some):]
		for _, one := range some {
			parts = append(parts, share{instance: one})
		}
	}
	services := []control.Service{}
	var limits, heads []string
	for _, p := range parts {
		list, err := p.Services(ctx, p.services)
		if err != nil {
			return err
		}
		services = append(services, list...)
		if json {
			continue
		}
		i, err := p.Instance(ctx)
		if err != nil {
			return err
		}
		limits = append(limits, i.Limits...)
		if text := versions(i); text != "" {
			heads = append(heads, text)
		}
	}
	if json {
		return a.printJSON(services)
	}
	for _, h := range heads {
		fmt.Fprintln(a.out, harmlessCell(h))
	}
	fmt.Fprint(a.out, a.statusTable(services))
	if len(names) > 0 {
		fmt.Fprint(a.out, a.signsTable(services))
	}
	a.limitations(limits, services)
	for _, o := range others {
		a.note("instance %s runs too: vigil --name %s status", o.name, o.name)
	}
	return nil
}

// versions says which parts of a vigil have which version, after an upgrade
// without a restart; "" when all are of one.
func versions(i control.Instance) string {
	if i.Keeper == "" || i.Keeper == i.Version {
		return ""
	}
	text := fmt.Sprintf("vigil %s: supervisor %s", i.Name, i.Version)
	if i.Former != "" && i.Former != i.Version {
		text += " (before " + i.Former + ")"
	}
	return text + ", keeper " + i.Keeper
}

func (a *app) statusTable(services []control.Service) string {
	rows := [][]cell{{
		{"SERVICE", "1"}, {"STATE", "1"}, {"PID", "1"}, {"UPTIME", "1"},
		{"RESTARTS", "1"}, {"READY", "1"}, {"HEARTBEAT", "1"}, {"WHY", "1"},
	}}
	for _, s := range services {
		pid, uptime := "-", "-"
		if s.PID != 0 {
			pid, uptime = strconv.Itoa(s.PID), span(seconds(s.Uptime))
		}
		ready := "no"
		if s.Ready {
			ready = "yes"
		}
		rows = append(rows, []cell{
			{s.Service, ""}, {s.State, stateColor(s.State)}, {pid, ""}, {uptime, ""},
			{strconv.FormatUint(s.Restarts, 10), ""}, {ready, ""}, heartbeat(s.Heartbeat), {why(s), ""},
		})
	}
	return a.table(rows)
}

// signsTable shows every sign of life of services that were named.
func (a *app) signsTable(services []control.Service) string {
	rows := [][]cell{{{"SERVICE", "1"}, {"SIGN", "1"}, {"KIND", "1"}, {"STATE", "1"}, {"AGE", "1"}, {"LIMIT", "1"}, {"", ""}}}
	more := ""
	for _, s := range services {
		for _, one := range s.Signs {
			limit := "-"
			if one.Limit > 0 {
				limit = span(seconds(one.Limit))
			}
			color := ""
			if one.State != "healthy" {
				color = "33"
			}
			rows = append(rows, []cell{
				{s.Service, ""}, {one.Name, ""}, {one.Kind, ""}, {one.State, color}, {span(seconds(one.Age)), ""}, {limit, ""}, {one.Text, ""},
			})
		}
		if s.SignsMore > 0 {
			more += fmt.Sprintf("%s has %d more signs\n", s.Service, s.SignsMore)
		}
	}
	if len(rows) == 1 {
		return ""
	}
	return "\n" + a.table(rows) + more
}

// stateColor is green for what is well, yellow for what moves, red for the end.
func stateColor(state string) string {
	switch state {
	case "running":
		return "32"
	case "failed":
		return "31"
	case "suspect", "freezing", "backoff", "waiting", "starting", "stopping":
		return "33"
	}
	return ""
}

func heartbeat(h *control.Heartbeat) cell {
	if h == nil {
		return cell{"-", ""}
	}
	if h.State == "waiting" {
		return cell{"waiting", ""}
	}
	text := span(seconds(h.Age)) + "/" + span(seconds(h.Limit))
	if h.State == "ok" || h.State == "" {
		return cell{text, ""}
	}
	return cell{text + " " + h.State, "33"}
}

// why says what one wants to know next: whom it waits for, when it starts again,
// what it says of itself, and how the last instance ended.
func why(s control.Service) string {
	var parts []string
	if len(s.WaitingFor) > 0 {
		parts = append(parts, "waiting for "+blockers(s.WaitingFor))
	}
	if len(s.EndsAfter) > 0 {
		parts = append(parts, "ends after "+blockers(s.EndsAfter))
	}
	if s.State == "backoff" {
		parts = append(parts, "next start in "+span(seconds(s.NextStart)))
	}
	if s.Status != "" {
		parts = append(parts, s.Status)
	}
	switch {
	case s.Sentence != "":
		parts = append(parts, s.Sentence)
	case s.Cause != "":
		parts = append(parts, s.Cause)
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "; ")
}

// blockers is "db (starting), cache (failed)".
func blockers(list []control.Blocker) string {
	words := make([]string, len(list))
	for i, b := range list {
		words[i] = b.Service + " (" + b.State + ")"
	}
	return strings.Join(words, ", ")
}

// limitations writes once what this machine or user does not allow.
func (a *app) limitations(limits []string, services []control.Service) {
	for _, s := range services {
		for _, l := range s.Limitation {
			limits = append(limits, s.Service+": "+l)
		}
	}
	seen := make(map[string]bool)
	limits = slices.DeleteFunc(limits, func(l string) bool {
		again := seen[l]
		seen[l] = true
		return again
	})
	if len(limits) == 0 {
		return
	}
	fmt.Fprintf(a.out, "\n%s\n", a.paint("1", "Limitations"))
	for _, l := range limits {
		fmt.Fprintf(a.out, "  %s\n", harmlessCell(l))
	}
}
