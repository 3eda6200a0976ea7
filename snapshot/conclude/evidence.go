package conclude

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of the files that a capture helper writes: it is not trusted with
// their size.
const (
	maxCapture = 4 << 20
	maxStacks  = 64 << 20
	maxProcess = 32 << 20
)

// Evidence is what an incident directory holds. What is not there is nil.
type Evidence struct {
	Capture *snapshot.Capture
	Stacks  *snapshot.Stacks
	Process *snapshot.Process
	World   *snapshot.World
	Suspect *snapshot.Process // as it was when it was first late

	Problems []string // sentences: what is there and cannot be read
}

// Read reads the directory.
func Read(dir string) Evidence {
	var e Evidence
	e.Capture = read[snapshot.Capture](&e, dir, snapshot.FileCapture, maxCapture)
	e.Stacks = read[snapshot.Stacks](&e, dir, snapshot.FileStacks, maxStacks)
	e.Process = read[snapshot.Process](&e, dir, snapshot.FileProcess, maxProcess)
	e.World = read[snapshot.World](&e, dir, snapshot.FileWorld, maxProcess)
	e.Suspect = read[snapshot.Process](&e, dir, snapshot.FileSuspect, maxProcess)
	return e
}

// Capture reads the report of the capture alone.
func Capture(dir string) (c snapshot.Capture, err error) {
	return c, readJSON(filepath.Join(dir, snapshot.FileCapture), maxCapture, &c)
}

func read[T any](e *Evidence, dir, name string, limit int64) *T {
	v := new(T)
	err := readJSON(filepath.Join(dir, name), limit, v)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			e.Problems = append(e.Problems, err.Error())
		}
		return nil
	}
	return v
}

func readJSON(path string, limit int64, v any) error {
	b, err := limited.ReadFile(path, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	return nil
}
