package jvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HotSpot keeps counters in a file that it maps, hsperfdata, since JDK 5. They
// can be read of a JVM that answers nothing: which safepoint is the last one,
// how many threads there are, what its collector did. The layout is that of
// perfMemory.hpp, version 2.0.

// counter is one of them: a number, or a text.
type counter struct {
	name  string
	value int64
	text  string
}

// Bounds of the file.
const (
	maxPerfData = 1 << 20
	maxCounters = 4096
	maxText     = 256
)

var errPerfData = errors.New("cannot read its counters: the file is not what HotSpot writes")

// readCounters reads those of a JVM that we see at /proc/PID.
func (t *target) readCounters() ([]counter, error) {
	if t.perf == "" {
		return nil, errors.New("it keeps no counters (-XX:-UsePerfData)")
	}
	tmp, err := t.tmp()
	if err != nil {
		return nil, err
	}
	defer unix.Close(tmp)
	dir, err := unix.Openat(tmp, t.perf, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open its %s: %w", t.perf, err)
	}
	defer unix.Close(dir)
	data, err := t.readOwn(dir, strconv.Itoa(t.inner), maxPerfData)
	if err != nil {
		return nil, err
	}
	return parseCounters(data)
}

// perfDirectory finds in /proc/PID/maps the directory of the file of counters,
// which is named after the user that the JVM takes itself for.
func perfDirectory(maps []byte, inner int) string {
	for line := range bytes.Lines(maps) {
		_, path, ok := bytes.Cut(line, []byte("/tmp/hsperfdata_"))
		user, file, _ := strings.Cut(strings.TrimSuffix(string(path), "\n"), "/")
		if ok && file == strconv.Itoa(inner) {
			return "hsperfdata_" + user
		}
	}
	return ""
}

// parseCounters reads the file: a head of 32 bytes, then entries.
func parseCounters(b []byte) (list []counter, err error) {
	if len(b) < 32 || b[0] != 0xca || b[1] != 0xfe || b[2] != 0xc0 || b[3] != 0xc0 || b[5] != 2 {
		return nil, errPerfData
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[4] == 0 {
		order = binary.BigEndian
	}
	at, count := uint64(order.Uint32(b[24:])), order.Uint32(b[28:])
	for range min(count, maxCounters) {
		if at+20 > uint64(len(b)) {
			break
		}
		size := uint64(order.Uint32(b[at:]))
		if size < 20 || at+size > uint64(len(b)) {
			return list, errPerfData
		}
		if c, ok := parseCounter(b[at:at+size], order); ok {
			list = append(list, c)
		}
		at += size
	}
	return list, nil
}

// parseCounter reads one entry: length, offset of the name, length of a vector,
// type, flags, units, variability, offset of the value.
func parseCounter(e []byte, order binary.ByteOrder) (counter, bool) {
	name, vector, value := uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[16:]))
	if name >= uint64(len(e)) || value > uint64(len(e)) {
		return counter{}, false
	}
	text, _, ended := bytes.Cut(e[name:], []byte{0})
	if !ended || len(text) > maxText {
		return counter{}, false
	}
	c := counter{name: string(text)}
	switch {
	case e[12] == 'J' && vector == 0 && value+8 <= uint64(len(e)):
		c.value = int64(order.Uint64(e[value:]))
	case e[12] == 'B' && vector > 0 && value+vector <= uint64(len(e)):
		s, _, _ := bytes.Cut(e[value:value+min(vector, maxText)], []byte{0})
		c.text = strings.ToValidUTF8(string(s), "?")
	default:
		return counter{}, false
	}
	return c, true
}

// safepoints words the counters that tell what a JVM that does not answer does.
func safepoints(list []counter) (lines []string) {
	by := map[string]counter{}
	for _, c := range list {
		by[c.name] = c
	}
	seconds := func(name string) float64 {
		if f := by["sun.os.hrt.frequency"].value; f > 0 {
			return float64(by[name].value) / float64(f)
		}
		return 0
	}
	if _, ok := by["sun.rt.safepoints"]; ok {
		lines = append(lines, fmt.Sprintf("%d safepoints, %.3f s in them, %.3f s to reach them", by["sun.rt.safepoints"].value, seconds("sun.rt.safepointTime"), seconds("sun.rt.safepointSyncTime")))
	}
	if _, ok := by["java.threads.live"]; ok {
		lines = append(lines, fmt.Sprintf("%d threads, %d of them daemons, %d at most", by["java.threads.live"].value, by["java.threads.daemon"].value, by["java.threads.livePeak"].value))
	}
	for i := range 8 {
		p := fmt.Sprintf("sun.gc.collector.%d.", i)
		if c, ok := by[p+"name"]; ok {
			lines = append(lines, fmt.Sprintf("collector %s: %d collections, %.3f s", c.text, by[p+"invocations"].value, seconds(p+"time")))
		}
	}
	if c, ok := by["sun.gc.cause"]; ok && c.text != "" && c.text != "No GC" {
		lines = append(lines, "a collection goes on: "+c.text)
	}
	return lines
}
