package binaries

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
)

// Names in the directory besides those of kept executables.
const (
	lockName        = ".lock"
	temporaryPrefix = ".writing-"
	usePrefix       = ".used-"
)

// lockStep is how often a lock is tried again that another process has: flock(2)
// cannot wait with a limit.
const lockStep = 10 * time.Millisecond

// locked runs work while no other process is at the names of the directory.
func (s Store) locked(ctx context.Context, work func() error) error {
	file, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // which unlocks it
	again := time.NewTicker(lockStep)
	defer again.Stop()
	for unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot lock the store: %w", ctx.Err())
		case <-again.C:
		}
	}
	return work()
}

func useName(id string, pid int, ticks uint64) string {
	return fmt.Sprintf("%s%d-%d-%s", usePrefix, pid, ticks, id)
}

// parseUse is the other way round.
func parseUse(name string) (id string, pid int, ticks uint64, ok bool) {
	rest, ok := strings.CutPrefix(name, usePrefix)
	parts := strings.SplitN(rest, "-", 3)
	if !ok || len(parts) != 3 || !valid(parts[2]) {
		return "", 0, 0, false
	}
	pid, err := strconv.Atoi(parts[0])
	if err != nil || pid <= 0 {
		return "", 0, 0, false
	}
	ticks, err = strconv.ParseUint(parts[1], 10, 64)
	return parts[2], pid, ticks, err == nil
}

// sweep removes what processes that are gone have left: files that nobody writes
// any more, and notes of use.
func (s Store) sweep() {
	entries, _ := os.ReadDir(s.dir)
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		switch _, pid, ticks, used := parseUse(e.Name()); {
		case strings.HasPrefix(e.Name(), temporaryPrefix):
			removeUnlocked(path)
		case used && !pidfd.Same(pid, ticks):
			_ = os.Remove(path)
		}
	}
}

// removeUnlocked removes a file that nobody writes.
func removeUnlocked(path string) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }() // opened for reading
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = os.Remove(path)
	}
}

// kept is one executable of the store.
type kept struct {
	id    string
	bytes int64
	last  time.Time
	used  bool
}

// list returns what is kept, the least recently used first.
func (s Store) list() []kept {
	entries, _ := os.ReadDir(s.dir)
	used := map[string]bool{}
	for _, e := range entries {
		if id, _, _, ok := parseUse(e.Name()); ok {
			used[id] = true
		}
	}
	var list []kept
	for _, e := range entries {
		var st unix.Stat_t
		if valid(e.Name()) && unix.Stat(s.path(e.Name()), &st) == nil {
			list = append(list, kept{e.Name(), st.Size, time.Unix(st.Atim.Unix()), used[e.Name()]})
		}
	}
	slices.SortFunc(list, func(a, b kept) int { return a.last.Compare(b.last) })
	return list
}

// makeRoom removes the least recently used ones until one more fits, but none
// that a living process uses.
func (s Store) makeRoom(size int64, id string) error {
	list := s.list()
	count, bytes := 1, size
	for _, k := range list {
		if k.id != id {
			count, bytes = count+1, bytes+k.bytes
		}
	}
	full := func() bool { return count > s.limits.Count || bytes > s.limits.Bytes }
	for _, k := range list {
		if full() && !k.used && k.id != id && os.Remove(s.path(k.id)) == nil {
			count, bytes = count-1, bytes-k.bytes
		}
	}
	if full() {
		return fmt.Errorf("the store is full of executables that are in use: %d bytes of %d, %d of %d files", bytes-size, s.limits.Bytes, count-1, s.limits.Count)
	}
	return nil
}
