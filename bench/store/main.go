// Command store measures what it takes to list many incidents: by the index of the
// store, and by decoding the manifest of each, as without an index. The two take
// turns, and the ratio is that of their medians. With -vigil the command `vigil
// incidents list` is measured too, with the index and without.
//
//	go run ./bench/store [-incidents 10000] [-n 9] [-vigil bin/vigil]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/rig"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

func main() {
	incidents := flag.Int("incidents", store.MaxList, "incidents in the store")
	n := flag.Int("n", 9, "times that each is measured")
	vigil := flag.String("vigil", "", "the vigil whose command is measured too")
	flag.Parse()
	if err := run(*incidents, *n, *vigil); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

func run(incidents, n int, vigil string) error {
	state, err := os.MkdirTemp("", "vigil-bench-store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	dir := filepath.Join(state, "incidents")
	if err := fill(dir, incidents); err != nil {
		return err
	}
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	first, err := prune(s)
	if err != nil {
		return err
	}
	again, err := prune(s)
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(dir, ".index"))
	if err != nil {
		return err
	}
	fmt.Printf("%d incidents; the index has %d bytes; a prune that removes nothing takes %s without it and %s with it\n",
		incidents, info.Size(), first.Round(time.Millisecond), again.Round(time.Millisecond))
	fmt.Printf("%-24s %12s %12s %8s\n", "", "by index", "by decoding", "ratio")
	err = compare("in the process", n, func() error { return byIndex(s, incidents) }, func() error { return byDecoding(s, incidents) })
	if err == nil && vigil != "" {
		err = compareCommand(vigil, state, n)
	}
	return err
}

// prune looks at all of a store, and writes the index if there is none.
func prune(s *store.Store) (time.Duration, error) {
	began := time.Now()
	removed, problems, err := s.Prune(store.Policy{}, time.Now())
	if err != nil || len(problems)+len(removed) > 0 {
		return 0, fmt.Errorf("cannot prune: %d removed, %q, %w", len(removed), problems, err)
	}
	return time.Since(began), nil
}

// fill writes incidents as the store would, without its waits for the disk.
func fill(dir string, incidents int) error {
	at := time.Now().Add(-time.Duration(incidents) * time.Minute).UTC()
	for n := range incidents {
		i := incident(n, at.Add(time.Duration(n)*time.Minute))
		data, err := json.MarshalIndent(i, "", "  ")
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, i.ID), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, i.ID, snapshot.FileIncident), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// incident is one of about the size that a hang of a Go program has.
func incident(n int, at time.Time) snapshot.Incident {
	service := fmt.Sprintf("service-%d", n%20)
	i := snapshot.Incident{
		Schema: snapshot.SchemaVersion, ID: fmt.Sprintf("%s-%s-%04x", at.Format("20060102T150405.000000Z"), service, n%65536),
		Service: service, Instance: uint64(n), PID: 4711, Time: at, Host: "node-7", Cause: snapshot.CauseHang,
		Sentence:    "hang: no beat for 10s (limit 10s); 2 goroutines likely deadlocked on sync.Mutex, and 998 wait behind them",
		Fingerprint: fmt.Sprintf("v2:%012x", n%500), Status: snapshot.StatusComplete, Bytes: 1 << 20, Command: []string{"/usr/bin/" + service, "--listen", ":8080"},
		Freeze:  &snapshot.Freeze{Method: snapshot.RungTwin, Pause: 0.003, Budget: 2, Threads: 12, Bytes: 48 << 20},
		Program: &snapshot.Program{Path: "/usr/bin/" + service, Runtime: "go", GoVersion: "go1.26.8", BuildID: strings.Repeat("ab", 20), Module: "example.com/shop@v1.4.0"},
		Card:    &snapshot.Card{Sentence: "2 goroutines likely deadlocked on sync.Mutex", Confidence: snapshot.ConfidenceLikely, Why: "the holder was found by its frame"},
		Vigil:   "0.1.0",
	}
	for _, name := range []string{"freeze", "golang", "process", "world", "output"} {
		i.Ran = append(i.Ran, snapshot.Ran{Name: name, Result: "ok", Cost: 0.01})
		i.Files = append(i.Files, snapshot.FileInfo{Name: name + ".json", Bytes: 8192})
		i.Card.Evidence = append(i.Card.Evidence, snapshot.CardFact{Text: "goroutine 18 waits for the lock that goroutine 19 holds", Where: "stacks.json: group 1"})
	}
	return i
}

func byIndex(s *store.Store, want int) error {
	list, problems, err := s.Briefs(store.Filter{})
	if err != nil || len(problems) > 0 || len(list) != want {
		return fmt.Errorf("%d incidents, %q, %w", len(list), problems, err)
	}
	return nil
}

func byDecoding(s *store.Store, want int) error {
	ids, problems, err := s.IDs()
	if err != nil || len(problems) > 0 || len(ids) != want {
		return fmt.Errorf("%d incidents, %q, %w", len(ids), problems, err)
	}
	for _, id := range ids {
		if _, err := s.Head(id); err != nil {
			return err
		}
	}
	return nil
}

// compareCommand measures the command as a user waits for it.
func compareCommand(vigil, state string, n int) error {
	index := filepath.Join(state, "incidents", ".index")
	aside := filepath.Join(state, "aside")
	list := func() error {
		cmd := exec.Command(vigil, "--state-dir", state, "incidents", "list")
		out, err := cmd.Output()
		if err == nil && len(out) == 0 {
			err = fmt.Errorf("%s printed nothing", vigil)
		}
		return err
	}
	without := func() error {
		err := os.Rename(index, aside)
		if err == nil {
			err = list()
		}
		if back := os.Rename(aside, index); err == nil {
			err = back
		}
		return err
	}
	return compare("vigil incidents list", n, list, without)
}

// side is one of two ways, with what it took each time.
type side struct {
	do        func() error
	wall, cpu []time.Duration
}

// compare has the two ways take turns. Beside other work the processor time tells
// more than the clock: it is what the clock would say on a quiet machine, or less
// where two processors share it.
func compare(name string, n int, index, decoding func() error) error {
	sides := []*side{{do: index}, {do: decoding}}
	for range n {
		for _, s := range sides {
			began, used := time.Now(), processorTime()
			if err := s.do(); err != nil {
				return err
			}
			s.wall, s.cpu = append(s.wall, time.Since(began)), append(s.cpu, processorTime()-used)
		}
	}
	for _, row := range []struct {
		name       string
		fast, slow []time.Duration
	}{{name, sides[0].wall, sides[1].wall}, {"  processor time", sides[0].cpu, sides[1].cpu}} {
		f, s := rig.Median(row.fast), rig.Median(row.slow)
		fmt.Printf("%-24s %9.1f ms %9.1f ms %8.3f\n", row.name, rig.Milliseconds(f), rig.Milliseconds(s), float64(f)/float64(s))
	}
	return nil
}

// processorTime is that of this process and of the children that have ended.
func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
