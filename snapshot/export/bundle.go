package export

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bundle writes the files of an incident directory as one tar, compressed with
// zstd. Each file is named ID/NAME. Those in replace are written instead of what
// is in the directory, as JSON or, when they are bytes, as they are; with only,
// nothing but those is written.
func Bundle(w io.Writer, dir, id string, at time.Time, replace map[string]any, only bool) (err error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("cannot compress: %w", err)
	}
	t := tar.NewWriter(z)
	defer func() { err = errors.Join(err, t.Close(), z.Close()) }()
	names, err := evidence(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		v, ok := replace[name]
		if only && !ok {
			continue
		}
		if ok {
			err = addJSON(t, id+"/"+name, at, v)
		} else {
			err = addFile(t, id+"/"+name, filepath.Join(dir, name))
		}
		if err != nil {
			return fmt.Errorf("cannot bundle %s: %w", name, err)
		}
	}
	return nil
}

// evidence lists the regular files of an incident, the manifest first.
func evidence(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	sort.SliceStable(names, func(i, j int) bool {
		return names[i] == snapshot.FileIncident && names[j] != snapshot.FileIncident
	})
	return names, nil
}

func addJSON(t *tar.Writer, name string, at time.Time, v any) error {
	b, raw := v.([]byte)
	if !raw {
		var err error
		if b, err = json.MarshalIndent(v, "", "  "); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), ModTime: at, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := t.Write(b)
	return err
}

// addFile adds a file of the size that it has when it is opened. A link in its
// place is not followed.
func addFile(t *tar.Writer, name, path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // pruned meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime(), Typeflag: tar.TypeReg}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(t, io.LimitReader(f, info.Size()))
	if err == nil && n < info.Size() {
		err = fmt.Errorf("it shrank to %d bytes meanwhile", n)
	}
	return err
}
