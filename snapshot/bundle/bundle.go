// Package bundle opens what `vigil incidents export` wrote: one incident, or
// several, as a tar archive compressed by zstd. A bundle comes from anywhere, so
// nothing of it is believed: names, sizes, kinds and counts are checked before a
// byte is written, and it is unpacked into a directory of its own.
package bundle

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// Bounds of a bundle.
const (
	MaxFile    = 4 << 30 // bytes of one file, unpacked
	MaxBytes   = 8 << 30 // bytes of all
	MaxEntries = 10_000
	window     = 128 << 20 // memory that decompression may ask for
)

// ErrBundle is wrapped by errors about a file that is not a bundle, or not a
// whole one.
var ErrBundle = errors.New("not a bundle of incidents")

// Bundle is an open bundle: a store to read from.
type Bundle struct {
	*store.Store
	Path string
	dir  string
}

// files are those that an incident can have. Others are left out: a later vigil
// may have more.
var files = []string{
	snapshot.FileIncident, snapshot.FileStacks, snapshot.FileProcess, snapshot.FileTimeline, snapshot.FileOutput, snapshot.FileSuspect,
	snapshot.FileCapture, snapshot.FileCore, snapshot.FileExe, snapshot.FileWorld, snapshot.FileTree, snapshot.FileRuntime,
	snapshot.FileDump, snapshot.FileSamples,
}

// Open unpacks a bundle into a temporary directory, which Close removes. It needs
// as much room there as the incidents have. Memory and executable are left out:
// nobody reads them from a bundle.
func Open(path string) (*Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the bundle: %w", err)
	}
	defer f.Close()
	dir, err := os.MkdirTemp("", "vigil-bundle-")
	if err != nil {
		return nil, fmt.Errorf("cannot unpack %s: %w", path, err)
	}
	b := &Bundle{Path: path, dir: dir}
	if err := Unpack(f, dir, MaxBytes); err != nil {
		return nil, fmt.Errorf("cannot unpack %s: %w", path, errors.Join(err, b.Close()))
	}
	if b.Store, err = store.OpenRead(dir); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, errors.Join(err, b.Close()))
	}
	return b, nil
}

// Close removes what was unpacked.
func (b *Bundle) Close() error { return os.RemoveAll(b.dir) }

// Unpack reads a bundle into a directory, at most so many bytes. What is not a
// regular file of an incident is an error, with nothing of it written.
func Unpack(r io.Reader, dir string, most int64) error {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(uint64(most)), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBundle, err)
	}
	defer z.Close()
	t := tar.NewReader(z)
	incidents := map[string]bool{}
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w, or cut off: %w", ErrBundle, err)
		}
		if n >= MaxEntries {
			return fmt.Errorf("%w: it has more than %d entries", ErrBundle, MaxEntries)
		}
		id, name, err := split(h)
		if err != nil {
			return err
		}
		if name == "" || !slices.Contains(files, name) || name == snapshot.FileCore || name == snapshot.FileExe {
			continue
		}
		if h.Size < 0 || h.Size > min(MaxFile, most) {
			return fmt.Errorf("%w: %q has %d bytes, the limit is %d", ErrBundle, h.Name, h.Size, min(MaxFile, most))
		}
		most -= h.Size
		incidents[id] = true
		if err := write(filepath.Join(dir, id), name, t, h.Size); err != nil {
			return err
		}
	}
	if len(incidents) == 0 {
		return fmt.Errorf("%w: there is no incident in it", ErrBundle)
	}
	return nil
}

// split checks an entry: ID/ or ID/FILE, and nothing else.
func split(h *tar.Header) (id, name string, err error) {
	id, name, deep := strings.Cut(strings.TrimSuffix(h.Name, "/"), "/")
	if !store.ValidID(id) || strings.ContainsAny(name, "/\\\x00") || name == "." || name == ".." {
		return "", "", fmt.Errorf("%w: it has an entry %q", ErrBundle, h.Name)
	}
	switch {
	case h.Typeflag == tar.TypeDir && !deep:
		return id, "", nil
	case h.Typeflag == tar.TypeReg && deep && name != "":
		return id, name, nil
	}
	return "", "", fmt.Errorf("%w: its entry %q is not a file", ErrBundle, h.Name)
}

func write(dir, name string, r io.Reader, size int64) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%w: it has %s twice", ErrBundle, name)
		}
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%w, or cut off: %w", ErrBundle, err)
	}
	return nil
}
