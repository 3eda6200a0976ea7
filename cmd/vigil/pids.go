package main

import (
	"context"
	"fmt"
)

// pids prints pids, one a line: of vigil, or of services that have a process.
func (a *app) pids(ctx context.Context, services []string) error {
	if len(services) == 0 {
		one, err := a.one()
		if err != nil {
			return err
		}
		i, err := one.Instance(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.out, i.KeeperPID)
		return nil
	}
	parts, err := a.shares(ctx, services)
	if err != nil {
		return err
	}
	var pids []int
	for _, p := range parts {
		list, err := p.Services(ctx, p.services)
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.PID == 0 {
				return nothingf("service %q is %s and has no process", s.Service, s.State)
			}
			pids = append(pids, s.PID)
		}
	}
	for _, pid := range pids {
		fmt.Fprintln(a.out, pid)
	}
	return nil
}
