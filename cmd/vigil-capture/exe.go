package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxExe bounds the copy of an executable.
const maxExe = 1 << 30

// keepExe makes sure that the executable can be read after the process is gone:
// the path on disk when that is still the same file, else a copy in dir.
func keepExe(ctx context.Context, pid int, dir string) (name string, copied bool, err error) {
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
