package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const (
	lineSize  = 100
	lineBlock = 40 // lines of one write: as a program with a buffer of a page does
)

// flood is the service. It writes numbered lines and then what it has used.
func flood(size, usage string) error {
	bytes, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", envBytes, err)
	}
	block := make([]byte, 0, lineBlock*lineSize)
	for n := int64(0); n < bytes/lineSize; {
		block = block[:0]
		for ; n < bytes/lineSize && len(block) < cap(block); n++ {
			block = appendLine(block, n)
		}
		if _, err := os.Stdout.Write(block); err != nil {
			return err
		}
	}
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return err
	}
	return os.WriteFile(usage, strconv.AppendInt(nil, ru.Utime.Nano()+ru.Stime.Nano(), 10), 0o600)
}

// appendLine makes line n: 12 digits, then filling.
func appendLine(b []byte, n int64) []byte {
	const filling = " the service writes a line of one hundred bytes, which is what many programs do on average.....\n"
	at := len(b)
	b = append(b, "000000000000"...)
	for i := at + 11; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, filling[len(filling)-(lineSize-12):]...)
}

func readUsage(path string) (time.Duration, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("the service has not ended well: %w", err)
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return time.Duration(n), err
}

// check is what the files say.
type check struct{ lost, torn int64 }

// verify reads the lines back, oldest file first.
func verify(dir string, patterns []string, size int64) (check, error) {
	var c check
	next := int64(0)
	for _, pattern := range patterns {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return c, err
		}
		slices.Sort(names)
		for _, name := range names {
			if err := c.read(name, &next); err != nil {
				return c, err
			}
		}
	}
	c.lost += size/lineSize - next
	return c, nil
}

func (c *check) read(name string, next *int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var want []byte
	for r := bufio.NewReaderSize(f, 1<<20); ; {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			if want = appendLine(want[:0], *next); string(line) == string(want) {
				*next++
			} else {
				c.unexpected(line, next)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unexpected is a line that is torn, or the first one after a gap, or one that
// comes again.
func (c *check) unexpected(line []byte, next *int64) {
	n, err := int64(0), error(nil)
	if len(line) == lineSize {
		n, err = strconv.ParseInt(string(line[:12]), 10, 64)
	}
	if len(line) != lineSize || err != nil || n < *next || string(line) != string(appendLine(nil, n)) {
		c.torn++
		return
	}
	c.lost += n - *next
	*next = n + 1
}
