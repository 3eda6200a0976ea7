package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal makes a pseudo-terminal: what is written to tty is read from ptmx.
func terminal(t *testing.T, columns uint16) (ptmx, tty *os.File) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = ptmx.Close() })
	fd := int(ptmx.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return ptmx, tty
}

// show runs a command whose output is a terminal, and returns what it shows.
func show(t *testing.T, columns uint16, instances map[string][]string, args ...string) string {
	t.Helper()
	ptmx, tty := terminal(t, columns)
	a := newApp(tty, tty)
	a.place = world(t, instances)
	if code := a.run(args); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	buffer := make([]byte, 4096)
	for { // the end of a terminal is EIO, tty_ioctl(4)
		n, err := ptmx.Read(buffer)
		b.Write(buffer[:n])
		if err != nil {
			return b.String()
		}
	}
}

func TestLogsAreHarmlessOnATerminal(t *testing.T) {
	text := show(t, 80, map[string][]string{"default": {"web"}}, "logs", "web")
	if strings.Contains(text, "\x1b") || !strings.Contains(text, `two\x1b[2J<&>`) {
		t.Errorf("%q", text)
	}
}

func TestStatusOnATerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	web := map[string][]string{"default": {"web"}}
	if text := show(t, 80, web, "status"); !strings.Contains(text, "\x1b[32mrunning\x1b[0m") {
		t.Errorf("not coloured: %q", text)
	}
	if text := show(t, 80, web, "--color", "never", "status"); strings.Contains(text, "\x1b") {
		t.Errorf("coloured: %q", text)
	}
	t.Setenv("NO_COLOR", "1")
	if text := show(t, 80, web, "status"); strings.Contains(text, "\x1b") {
		t.Errorf("coloured against NO_COLOR: %q", text)
	}
}
