package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

// pruneFlags are the bounds of `vigil incidents prune`.
type pruneFlags struct {
	maxBytes, maxAge, minFree string
	json, dryRun              bool
}

// removal is an incident that prune removed, in JSON.
type removal struct {
	ID     string `json:"id"`
	Bytes  int64  `json:"bytes"`
	Reason string `json:"reason"`
}

func (a *app) incidentsPruneCommand() *cobra.Command {
	var f pruneFlags
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove old incidents now",
		Long: "Remove incidents until the bounds hold: oldest first, and the first and the newest\n" +
			"of each kind of death last. The newest of all, unfinished and pinned ones stay. A\n" +
			"vigil that runs does so by itself, by the bounds of its configuration.",
		Example: "  vigil incidents prune --max-age 7d",
		Args:    noArguments,
		RunE:    a.do(func(*cobra.Command, []string) error { return a.prune(f) }),
	}
	cmd.Flags().StringVar(&f.maxBytes, "max-bytes", "4GiB", "how much all may take")
	cmd.Flags().StringVar(&f.maxAge, "max-age", "30d", "how old one may be")
	cmd.Flags().StringVar(&f.minFree, "min-free", "10%", "how much of the file system stays free: a share or a size")
	cmd.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "only say what would be removed")
	cmd.Flags().BoolVar(&f.json, "json", false, "print a list of what was removed")
	return cmd
}

// bounds reads the flags. The free space depends on the file system.
func (f pruneFlags) bounds() (store.Policy, config.Free, error) {
	size, err := config.ParseSize(f.maxBytes)
	if err != nil {
		return store.Policy{}, config.Free{}, usagef("cannot use --max-bytes: %w", err)
	}
	age, err := config.ParseDuration(f.maxAge)
	if err != nil {
		return store.Policy{}, config.Free{}, usagef("cannot use --max-age: %w", err)
	}
	free, err := config.ParseFree(f.minFree)
	if err != nil {
		return store.Policy{}, config.Free{}, usagef("cannot use --min-free: %w", err)
	}
	return store.Policy{MaxBytes: size, MaxAge: age}, free, nil
}

func (a *app) prune(f pruneFlags) error {
	policy, free, err := f.bounds()
	if err != nil {
		return err
	}
	stores, err := a.stores()
	if err != nil {
		return err
	}
	removed := []removal{}
	for _, readOnly := range stores {
		s, prune := readOnly, readOnly.Preview
		if !f.dryRun {
			if s, err = store.Open(readOnly.Root()); err != nil {
				return err
			}
			prune = s.Prune
		}
		_, total, err := s.Space()
		if err != nil {
			return err
		}
		policy.MinFree = free.Bytes + int64(free.Percent/100*float64(total))
		gone, problems, err := prune(policy, time.Now())
		if err != nil {
			return err
		}
		for _, r := range gone {
			removed = append(removed, removal(r))
		}
		for _, p := range problems {
			a.note("%s", p)
		}
	}
	if f.json {
		return a.printJSON(removed)
	}
	verbs := [2]string{"removed", "freed"}
	if f.dryRun {
		verbs = [2]string{"would be removed", "would be freed"}
	}
	var bytes int64
	for _, r := range removed {
		bytes += r.Bytes
		fmt.Fprintf(a.out, "%s %s (%s): %s\n", verbs[0], r.ID, size(r.Bytes), harmlessCell(r.Reason))
	}
	fmt.Fprintf(a.out, "%d %s, %s %s\n", len(removed), verbs[0], size(bytes), verbs[1])
	return nil
}
