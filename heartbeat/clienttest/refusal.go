package clienttest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// Refusal is a way in which a program can be given no page: what a client is
// started with, and a word that its error must have.
type Refusal struct {
	Name  string
	Value string   // of VIGIL_HEARTBEAT_FD
	File  *os.File // descriptor 3, if any; to be closed
	Says  string
}

// Refusals returns every kind of them.
func Refusals() ([]Refusal, error) {
	list := []Refusal{
		{Name: "no number", Value: "three", Says: "not a descriptor number"},
		{Name: "negative", Value: "-3", Says: "not a descriptor number"},
		{Name: "empty", Value: "", Says: "not a descriptor number"},
		{Name: "too large", Value: "99999999999999999999", Says: "not a descriptor number"},
		{Name: "closed", Value: "99", Says: "closed on the way"},
	}
	for _, damaged := range []struct {
		name string
		with func([]byte)
		says string
	}{
		{"garbage", func(b []byte) { copy(b, "GARBAGE!") }, "magic"},
		{"version", func(b []byte) { b[8]++ }, "layout version"},
		{"slot size", func(b []byte) { b[16]++ }, "sizes"},
		{"slot count", func(b []byte) { b[20]++ }, "sizes"},
		{"no slots", func(b []byte) { b[20] = 0 }, "sizes"},
		{"page size", func(b []byte) { b[31]++ }, "sizes"},
		{"zeros", func(b []byte) { clear(b) }, "magic"},
	} {
		p, err := New(3)
		if err != nil {
			return list, err
		}
		damaged.with(p.Bytes[:wire.HeaderSize])
		list = append(list, Refusal{Name: damaged.name, Value: "3", File: p.File, Says: damaged.says})
	}
	plain, err := os.CreateTemp("", "no-page-")
	if err != nil {
		return list, fmt.Errorf("cannot make a file: %w", err)
	}
	list = append(list, Refusal{Name: "plain file", Value: "3", File: plain, Says: "memfd"})
	if err := os.Remove(plain.Name()); err != nil {
		return list, fmt.Errorf("cannot remove a file: %w", err)
	}
	small, err := unix.MemfdCreate("small", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(small), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
		list = append(list, Refusal{Name: "no bytes", Value: "3", File: os.NewFile(uintptr(small), "small"), Says: "header"})
	}
	if err != nil {
		return list, fmt.Errorf("cannot make a memfd: %w", err)
	}
	return list, nil
}

// CloseAll closes the files of refusals.
func CloseAll(list []Refusal) error {
	var errs []error
	for _, r := range list {
		if r.File != nil {
			errs = append(errs, r.File.Close())
		}
	}
	return errors.Join(errs...)
}
