package manager

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// maxReceived bounds the descriptors taken at start. systemd's own bound is its
// limit of open files; LISTEN_FDNAMES is at most one environment string,
// MAX_ARG_STRLEN = 128 KiB of which every descriptor needs two bytes.
const maxReceived = 65536

var (
	errAddress = errors.New("manager: neither an absolute path nor an abstract socket")
	errCount   = errors.New("manager: not a possible number of descriptors")
	errNotOurs = errors.New("manager: the descriptors were passed to another process (is there a wrapper that does not exec?)")
)

// dialEnvironment connects to NOTIFY_SOCKET, which it removes.
func dialEnvironment() (*link, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	if err := os.Unsetenv("NOTIFY_SOCKET"); err != nil || name == "" {
		return nil, err
	}
	// "@name" is in the abstract name space, here and for package net alike.
	// vsock: is for the pid 1 of a virtual machine.
	if !strings.HasPrefix(name, "/") && (name[0] != '@' || name == "@") {
		return nil, fmt.Errorf("cannot connect to NOTIFY_SOCKET %q: %w", name, errAddress)
	}
	l, err := dial(&net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot connect to NOTIFY_SOCKET %q: %w", name, err)
	}
	return l, nil
}

// takeStored takes over the descriptors that were passed to us, by their names.
func takeStored() (map[string][]*os.File, error) {
	count, pid := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID")
	var files []*os.File
	var err error
	if err = checkCount(count); err == nil {
		files = activation.Files(false)
	}
	if err == nil && count != "" && count != "0" && pid != strconv.Itoa(os.Getpid()) {
		err = fmt.Errorf("cannot take over %s descriptors of LISTEN_PID %q as process %d: %w", count, pid, os.Getpid(), errNotOurs)
	}
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		err = errors.Join(err, os.Unsetenv(name))
	}
	stored := map[string][]*os.File{}
	for _, f := range files {
		stored[f.Name()] = append(stored[f.Name()], f)
	}
	return stored, err
}

// checkCount keeps a nonsensical LISTEN_FDS from the library, which would
// allocate as much.
func checkCount(count string) error {
	if count == "" {
		return nil
	}
	if n, err := strconv.Atoi(count); err != nil || n < 0 || n > maxReceived {
		return fmt.Errorf("cannot take over LISTEN_FDS=%q descriptors: %w", count, errCount)
	}
	return nil
}

// takeStore reads FDSTORE, how many descriptors the service manager would keep
// (systemd 254), and removes it.
func takeStore(stored map[string][]*os.File) (*store, error) {
	s := newStore(stored)
	text, known := os.LookupEnv("FDSTORE")
	if err := os.Unsetenv("FDSTORE"); err != nil || !known {
		return s, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return s, fmt.Errorf("cannot read FDSTORE=%q: %w", text, errCount)
	}
	s.limit, s.limited = n, true
	return s, nil
}
