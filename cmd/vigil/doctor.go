package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// doctorTime bounds all tries; each has a limit of its own.
const doctorTime = 3 * time.Minute

func (a *app) doctorCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Try what works here: each way of taking the stacks of a process",
		Long: "Try each way of taking the stacks of a process on a throw-away child, as this user and\n" +
			"on this machine, and say what else matters: rights, filters, tools. Nothing is changed.\n" +
			"Services are captured in the first way of the list that works. Exit code 1: neither a\n" +
			"twin nor a copy can be had, so stacks can only be asked of the runtime of a program.",
		Example: "  vigil doctor",
		Args:    noArguments,
		RunE:    a.do(func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), json) }),
	}
	cmd.Flags().BoolVar(&json, "json", false, "print a list of objects")
	return cmd
}

func (a *app) doctor(ctx context.Context, asJSON bool) error {
	helper := capturePath()
	if helper == "" {
		return &exit{exitSystem, fmt.Errorf("cannot try anything: %s was not found beside vigil or in PATH", captureName)}
	}
	list, err := checkups(ctx, helper)
	if err != nil {
		return system(err)
	}
	if asJSON {
		err = a.printJSON(list)
	} else {
		a.tellCheckups(helper, list)
	}
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.OK && (c.Name == snapshot.RungTwin || c.Name == snapshot.RungCopy) {
			return nil
		}
	}
	return &exit{code: exitFailed}
}

// checkups runs the helper, which prints one object a line.
func checkups(ctx context.Context, helper string) ([]snapshot.Checkup, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	var out, words bytes.Buffer
	cmd := exec.CommandContext(ctx, helper, "doctor")
	cmd.Stdout, cmd.Stderr = &limitedWriter{w: &out, left: 1 << 20}, &limitedWriter{w: &words, left: maxHelper}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s doctor: %w: %s", captureName, err, words.Bytes())
	}
	var list []snapshot.Checkup
	for d := json.NewDecoder(&out); d.More(); {
		var c snapshot.Checkup
		if err := d.Decode(&c); err != nil {
			return nil, fmt.Errorf("cannot understand %s: %w", captureName, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New(captureName + " doctor said nothing")
	}
	return list, nil
}

func (a *app) tellCheckups(helper string, list []snapshot.Checkup) {
	rows := [][]cell{{{text: "WAY"}, {text: "WORKS"}, {text: "PAUSE"}, {text: "WHAT CAME OF IT"}}}
	facts := [][]cell{{{text: "HERE"}, {text: ""}, {text: ""}, {text: helper}}}
	for _, c := range list {
		answer := cell{text: "yes"}
		if !c.OK {
			answer = cell{text: "no", sgr: "31"}
		}
		if c.Fact {
			if c.OK {
				answer.text = ""
			}
			facts = append(facts, []cell{{text: c.Name}, answer, {}, {text: c.Text}})
			continue
		}
		pause := "-"
		if c.Pause > 0 {
			pause = human(float64(c.Pause))
		}
		rows = append(rows, []cell{{text: c.Name}, answer, {text: pause}, {text: c.Text}})
	}
	fmt.Fprint(a.out, a.table(append(rows, facts...)))
}
