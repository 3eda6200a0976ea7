package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/internal/place"
	"github.com/vigil-supervisor/vigil/keeper"
)

// A vigil whose supervisor is being replaced is asked again every askAgain, for
// reachTime at most.
const (
	askAgain  = 20 * time.Millisecond
	reachTime = 5 * time.Second
)

// patiently repeats a request that may be repeated while the supervisor is
// being replaced, until it does not answer for reachTime or ctx ends. A vigil
// that does not run is an error at once.
func (a *app) patiently(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	failing := time.Now()
	for {
		begin := time.Now()
		err := ask(ctx)
		if err == nil || !a.mayPass(err) {
			return err
		}
		if time.Since(begin) >= reachTime/10 {
			failing = time.Now() // somebody had begun to answer
		}
		if time.Since(failing) >= reachTime {
			return fmt.Errorf("cannot reach the supervisor, though vigil runs: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cannot reach the supervisor, though vigil runs: %w", err)
		}
	}
}

// mayPass reports whether an error may come from the replacement of a
// supervisor, under a keeper that lives.
func (a *app) mayPass(err error) bool {
	if !interrupted(err) {
		return false
	}
	places, _, err := place.Find(a.options())
	if err != nil {
		return false
	}
	if a.name != "" {
		places = places[:1]
	}
	for _, p := range places {
		if keeperRuns(p.Runtime) {
			return true
		}
	}
	return false
}

// interrupted reports whether an error is that of a supervisor that has ended.
func interrupted(err error) bool {
	return errors.Is(err, client.ErrNotRunning) || errors.Is(err, control.ErrShutdown) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// follow shows a stream over the replacement of supervisors, to the end of
// vigil, which is no error.
func (a *app) follow(ctx context.Context, stream func(context.Context) error) error {
	begun := false
	err := a.patiently(ctx, func(ctx context.Context) error {
		err := stream(ctx)
		begun = begun || err == nil || errors.Is(err, control.ErrShutdown)
		return err
	})
	if begun && err != nil && interrupted(err) {
		return nil // it was shown to the end
	}
	return err
}

// keeperRuns reports whether the process that the lock in a runtime directory
// names lives and holds that file open. The lock itself is not tried: a keeper
// that starts at that moment would find it taken.
func keeperRuns(runtime string) bool {
	path := filepath.Join(runtime, keeper.LockName)
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	own, err := f.Stat()
	if err != nil {
		return false
	}
	text := make([]byte, 16)
	n, _ := f.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid <= 0 {
		return false
	}
	fds := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if held, err := os.Stat(filepath.Join(fds, e.Name())); err == nil && os.SameFile(held, own) {
			return true
		}
	}
	return false
}
