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
	maxBytes, maxAge, minFree, minFreeInodes string
	maxPerFingerprint                        int
	json, dryRun                             bool
}

// removal is an incident, or a file of one, that prune removed, in JSON.
type removal struct {
	ID     string `json:"id"`
	Part   string `json:"part,omitempty"` // the file; absent: all of it
	Bytes  int64  `json:"bytes"`
	Reason string `json:"reason"`
}

func (a *app) incidentsPruneCommand() *cobra.Command {
	var f pruneFlags
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove old incidents now",
		Long: "Remove until the bounds hold: what is too old or too often the same; then memory and\n" +
			"other large files of incidents, oldest first, which then say so; then whole incidents,\n" +
			"and the first and the newest of each kind of death last. The newest of all, unfinished\n" +
			"and pinned ones stay. A vigil that runs does so by itself after each incident, by the\n" +
			"bounds of its configuration.",
		Example: "  vigil incidents prune --max-age 7d",
		Args:    noArguments,
		RunE:    a.do(func(*cobra.Command, []string) error { return a.prune(f) }),
	}
	cmd.Flags().StringVar(&f.maxBytes, "max-bytes", "4GiB", "how much all may take")
	cmd.Flags().StringVar(&f.maxAge, "max-age", "30d", "how old one may be")
	cmd.Flags().StringVar(&f.minFree, "min-free", "10%", "how much of the file system stays free: a share or a size")
	cmd.Flags().StringVar(&f.minFreeInodes, "min-free-inodes", "5%", "which share of the inodes of the file system stays free")
	cmd.Flags().IntVar(&f.maxPerFingerprint, "max-per-fingerprint", 100, "how many of one kind of death of one service are kept")
	cmd.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "only say what would be removed")
	cmd.Flags().BoolVar(&f.json, "json", false, "print a list of what was removed")
	return cmd
}

// bounds reads the flags.
func (f pruneFlags) bounds() (store.Policy, error) {
	size, err := config.ParseSize(f.maxBytes)
	if err != nil {
		return store.Policy{}, usagef("cannot use --max-bytes: %w", err)
	}
	age, err := config.ParseDuration(f.maxAge)
	if err != nil {
		return store.Policy{}, usagef("cannot use --max-age: %w", err)
	}
	free, err := config.ParseFree(f.minFree)
	if err != nil {
		return store.Policy{}, usagef("cannot use --min-free: %w", err)
	}
	inodes, err := config.ParseShare(f.minFreeInodes)
	if err != nil {
		return store.Policy{}, usagef("cannot use --min-free-inodes: %w", err)
	}
	if f.maxPerFingerprint < 2 {
		return store.Policy{}, usagef("cannot use --max-per-fingerprint: %d is less than 2, the first and the newest", f.maxPerFingerprint)
	}
	return store.Policy{
		MaxBytes: size, MaxAge: age, MinFree: store.Floor{Least: free.Bytes, Percent: free.Percent},
		MinFreeInodes: store.Floor{Percent: inodes}, MaxPerFingerprint: f.maxPerFingerprint,
	}, nil
}

func (a *app) prune(f pruneFlags) error {
	policy, err := f.bounds()
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
		fmt.Fprintf(a.out, "%s %s (%s): %s\n", verbs[0], store.Removal(r).What(), size(r.Bytes), harmlessCell(r.Reason))
	}
	fmt.Fprintf(a.out, "%d %s, %s %s\n", len(removed), verbs[0], size(bytes), verbs[1])
	return nil
}
