package storm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// envReloads is how many reloads TestGrowth makes.
const envReloads = "VIGIL_STORM_RELOADS"

// Growth of the keeper that is none: 500 entries of the ledger, and chance.
const (
	warmUp    = 10
	mostBytes = 2 << 20
	mostFiles = 2
)

// TestGrowth makes one reload after the other: the keeper, which stays, needs
// as much at the end as at the beginning, and the untouched service loses no line.
func TestGrowth(t *testing.T) {
	t.Parallel()
	reloads := 25
	if text := os.Getenv(envReloads); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		reloads = n
	}
	c := initial()
	v := start(t, vigilBinary, c)
	v.eventually("the first start", v.runs(c))
	pid, _ := v.newest(still)
	begin, first := time.Now(), figures{}
	for n := range reloads {
		if n == min(warmUp, reloads/2) {
			first = v.keeper()
		}
		before, err := v.instance()
		if err != nil {
			t.Fatal(err)
		}
		v.signal(unix.SIGHUP)
		v.eventually("a reload", func() error {
			after, err := v.instance()
			if err == nil && after.Epoch != before.Epoch+1 {
				err = fmt.Errorf("epoch %d, was %d", after.Epoch, before.Epoch)
			}
			return err
		})
	}
	took := time.Since(begin)
	v.eventually("rest", v.runs(c))
	peak := v.keeper()
	// Garbage is given back when it has been quiet for some seconds.
	v.eventually("the keeper to need no more than at first", func() error {
		last := v.keeper()
		if last.bytes > first.bytes+mostBytes || last.files > first.files+mostFiles {
			return fmt.Errorf("it has grown from %v to %v", first, last)
		}
		return nil
	})
	t.Logf("%d reloads in %v; keeper: after some %v, at the end %v, then at rest %v", reloads, took.Round(time.Millisecond), first, peak, v.keeper())
	v.untouched(pid)
	if err := v.bounded(); err != nil {
		t.Error(err)
	}
	v.end()
	if lost := v.complete(still); lost > 0 {
		t.Errorf("%d lines of %s are lost, and nobody was killed", lost, still)
	}
}

// figures are what a process needs.
type figures struct {
	bytes int64 // resident
	files int
	tasks int
}

func (f figures) String() string {
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d threads", float64(f.bytes)/(1<<20), f.files, f.tasks)
}

func (v *vigil) keeper() (f figures) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", v.pid()))
	if err != nil {
		v.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		v.t.Fatal(err)
	}
	f.bytes = pages * int64(os.Getpagesize())
	for name, n := range map[string]*int{"fd": &f.files, "task": &f.tasks} {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", v.pid(), name))
		if err != nil {
			v.t.Fatal(err)
		}
		*n = len(entries)
	}
	return f
}
