package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/binaries"
)

// maxExe bounds the copy of an executable.
const maxExe = 1 << 30

// keepExe makes sure that the executable can be read after the process is gone:
// what the store of binaries has of it, else the path on disk when that is still
// the same file, else a copy in dir. It fills Exe, ExeCopied and ExeID.
func keepExe(ctx context.Context, pid int, dir, store string, report *snapshot.Capture) (err error) {
	if report.ExeID, err = binaries.Identify(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && store != "" {
		if report.Exe, err = binaries.New(store, binaries.Limits{}).Find(report.ExeID); err == nil {
			return nil
		}
	}
	report.Exe, report.ExeCopied, err = onDisk(ctx, pid, dir)
	return err
}

// onDisk is the path of the executable, or its copy in dir.
func onDisk(ctx context.Context, pid int, dir string) (name string, copied bool, err error) {
	link := fmt.Sprintf("/proc/%d/exe", pid)
	running, err := os.Stat(link)
	if err != nil {
		return "", false, fmt.Errorf("cannot open the executable: %w", err)
	}
	if path, err := os.Readlink(link); err == nil {
		if disk, err := os.Stat(path); err == nil && os.SameFile(running, disk) {
			return path, false, nil
		}
	}
	if running.Size() > maxExe {
		return "", false, fmt.Errorf("cannot keep the executable: it is not on disk any more and larger than %d bytes", maxExe)
	}
	if err := copyExe(ctx, link, filepath.Join(dir, snapshot.FileExe)); err != nil {
		return "", false, fmt.Errorf("cannot copy the executable: %w", err)
	}
	return snapshot.FileExe, true, nil
}

// replaced looks whether an executable is the one that ran, whose id the capture
// or else the core tells. Where it is another one, or gone, the store of binaries
// may have kept the right one; why is what is to be said when it has not. When
// nothing tells what ran, the executable is taken as it is.
func replaced(report *snapshot.Capture, core, exe, store string) (path, why string) {
	id := report.ExeID
	if id == "" {
		var err error
		if id, err = binaries.OfCore(core); err != nil {
			return exe, ""
		}
	}
	now, err := binaries.Identify(exe)
	if err == nil && now == id {
		return exe, ""
	}
	if store != "" {
		if kept, err := binaries.New(store, binaries.Limits{}).Find(id); err == nil {
			return kept, ""
		}
	}
	if err != nil {
		return exe, fmt.Sprintf("the executable %s cannot be read, and no store of binaries has it: %v", exe, err)
	}
	return exe, fmt.Sprintf("the executable %s is another build than the one that ran, and no store of binaries has that: every name would be wrong", exe)
}

func copyExe(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // opened for reading
	out, err := os.OpenFile(to+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(out, in, 4<<20)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		_ = os.Remove(out.Name())
	}
	return err
}
