package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/internal/place"
)

// instance is a vigil that runs.
type instance struct {
	*client.Client
	name  string
	first bool // the one that was asked for, or the default one
}

// instances returns the vigils that a command line can mean: the one that is
// named; without a name the default one, then the others. There is at least
// one, or the error has exit code 3. One whose supervisor is being replaced is
// waited for.
func (a *app) instances() ([]instance, error) {
	limit := time.NewTimer(reachTime)
	defer limit.Stop()
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		found, silent, err := a.look()
		if err != nil || len(silent) == 0 {
			return found, err
		}
		select {
		case <-tick.C:
			continue
		case <-limit.C:
		}
		if first := silent[0]; first.first || len(found) == 0 {
			return nil, &exit{exitFailed, fmt.Errorf("cannot reach the supervisor of vigil %q within %s, though its keeper runs", first.name, reachTime)}
		}
		return found, nil
	}
}

// look finds the vigils that answer, and those that only have a keeper now.
// None at all is an error.
func (a *app) look() (found, silent []instance, err error) {
	places, looked, err := place.Find(a.options())
	if err != nil {
		return nil, nil, err
	}
	if a.name != "" {
		places, looked = places[:1], places[0].Runtime
	}
	var firstErr error
	for i, p := range places {
		path, err := p.Socket(control.SocketName)
		if err != nil {
			return nil, nil, err
		}
		c, err := client.Dial(path)
		switch {
		case err == nil:
			found = append(found, instance{c, p.Name, i == 0})
		case errors.Is(err, client.ErrNotRunning) && keeperRuns(p.Runtime):
			silent = append(silent, instance{nil, p.Name, i == 0})
		case i == 0 && !errors.Is(err, client.ErrNotRunning):
			firstErr = err
		}
	}
	if len(found)+len(silent) > 0 {
		return found, silent, nil
	}
	if firstErr != nil {
		return nil, nil, firstErr
	}
	who := "vigil"
	if a.name != "" {
		who = "vigil " + strconv.Quote(a.name)
	}
	return nil, nil, notRunning(fmt.Sprintf("%s is not running (looked in %s)", who, looked))
}

// notRunning is client.ErrNotRunning in other words.
type notRunning string

func (n notRunning) Error() string { return string(n) }

func (n notRunning) Is(target error) bool { return target == client.ErrNotRunning }

// chosen returns the instances that a command without a service is about: the
// first one if it runs, else all.
func chosen(all []instance) []instance {
	if all[0].first {
		return all[:1]
	}
	return all
}

// one returns the only instance that a command without a service can mean.
func (a *app) one() (instance, error) {
	all, err := a.instances()
	if err != nil {
		return instance{}, err
	}
	some := chosen(all)
	if len(some) > 1 {
		return instance{}, usagef("there are several instances: %s; choose one by --name", names(some))
	}
	return some[0], nil
}

func names(all []instance) string {
	list := make([]string, len(all))
	for i, one := range all {
		list[i] = one.name
	}
	return strings.Join(list, ", ")
}

// share is an instance with those services of a command line that it has.
type share struct {
	instance
	services []string
}

// shares finds the instance of each service. A service of the default instance
// is meant before one of the same name elsewhere; otherwise two are an error.
func (a *app) shares(ctx context.Context, services []string) ([]share, error) {
	all, err := a.instances()
	if err != nil {
		return nil, err
	}
	if len(all) == 1 { // it knows best what it has
		return []share{{all[0], services}}, nil
	}
	has := make([]map[string]bool, len(all))
	for i, one := range all {
		list, err := one.Services(ctx, nil)
		if err != nil {
			return nil, err
		}
		has[i] = make(map[string]bool, len(list))
		for _, s := range list {
			has[i][s.Service] = true
		}
	}
	found := make([]share, len(all))
	for _, service := range services {
		var in []int
		for i, one := range all {
			if has[i][service] {
				in = append(in, i)
				if one.first {
					break
				}
			}
		}
		switch len(in) {
		case 0:
			return nil, nothingf("no instance has a service %q (running: %s)", service, names(all))
		case 1:
			found[in[0]].services = append(found[in[0]].services, service)
		default:
			var both []instance
			for _, i := range in {
				both = append(both, all[i])
			}
			return nil, usagef("service %q is in several instances: %s; choose one by --name", service, names(both))
		}
	}
	var result []share
	for i, one := range found {
		if len(one.services) > 0 {
			result = append(result, share{all[i], one.services})
		}
	}
	return result, nil
}
