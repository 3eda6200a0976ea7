package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDecode(t *testing.T) {
	tests := []struct {
		in   string
		want Message
	}{
		{"READY=1", Message{Ready: true}},
		{"READY=1\n", Message{Ready: true}},
		{"READY=1\x00", Message{Ready: true}},
		{"\n\nREADY=1\n\n", Message{Ready: true}},
		{"RELOADING=1\nMONOTONIC_USEC=1500000", Message{Reloading: true, Set: HasMonotonic, Monotonic: 1500 * time.Millisecond}},
		{"STOPPING=1\nSTATUS=bye = now", Message{Stopping: true, Set: HasStatus, Status: "bye = now"}},
		{"STATUS=", Message{Set: HasStatus}},
		{"ERRNO=0", Message{Set: HasErrno}},
		{"ERRNO=28\nBUSERROR=org.x.Y\nVARLINKERROR=io.z\nEXIT_STATUS=255", Message{
			Set: HasErrno | HasBusError | HasVarlinkError | HasExitStatus, Errno: 28, BusError: "org.x.Y", VarlinkError: "io.z", ExitStatus: 255}},
		{"MAINPID=4711", Message{Set: HasMainPID, MainPID: 4711}},
		{"WATCHDOG=1", Message{Beat: true}},
		{"WATCHDOG=trigger", Message{Trigger: true}},
		{"WATCHDOG_USEC=20000000", Message{Set: HasWatchdog, Watchdog: 20 * time.Second}},
		{"WATCHDOG_USEC=0", Message{Set: HasWatchdog}},
		{"EXTEND_TIMEOUT_USEC=31536000000000", Message{Set: HasExtend, Extend: MaxInterval}},
		{"BARRIER=1", Message{Barrier: true}},
		{"RESTART_RESET=1", Message{RestartReset: true}},
		{"NOTIFYACCESS=all", Message{Set: HasNotifyAccess, NotifyAccess: "all"}},
		{"X_VIGIL_BEAT=a\nX_VIGIL_BEAT=pool/worker-3\nX_VIGIL_BEAT=a", Message{Beats: []string{"a", "pool/worker-3", "a"}}},
		{"FDSTORE=1\nFDNAME=x\nFDPOLL=0\nFDSTORE=1\nFDSTOREREMOVE=1", Message{Unsupported: []string{"FDSTORE", "FDNAME", "FDPOLL", "FDSTOREREMOVE"}}},
		{"X_OTHER_KEY=1\nnonsense\nREADY=1", Message{Ready: true, Unknown: 2}},
		{"STATUS=one\nSTATUS=two", Message{Set: HasStatus, Status: "two"}},
	}
	for _, tt := range tests {
		got, err := Decode([]byte(tt.in))
		if err != nil {
			t.Errorf("Decode(%q): %v", tt.in, err)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Decode(%q)\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
	}
}

func TestDecodeInvalidValueLeavesTheRest(t *testing.T) {
	for _, bad := range []string{
		"READY=0", "READY=", "STOPPING=yes", "WATCHDOG=2", "WATCHDOG= 1", "BARRIER=x", "RESTART_RESET=0",
		"ERRNO=-1", "ERRNO=4096", "ERRNO=+5", "ERRNO=1_0", "ERRNO=", "EXIT_STATUS=256", "MAINPID=0", "MAINPID=4194305",
		"MAINPID=99999999999999999999", "WATCHDOG_USEC=31536000000001", "EXTEND_TIMEOUT_USEC=18446744073709551615",
		"MONOTONIC_USEC=-3", "NOTIFYACCESS=some", "X_VIGIL_BEAT=", "X_VIGIL_BEAT=a b", "X_VIGIL_BEAT=\x1b[2J",
		"X_VIGIL_BEAT=" + strings.Repeat("a", MaxBeatName+1),
	} {
		m, err := Decode([]byte(bad + "\nWATCHDOG=1"))
		if err != nil || !m.Beat || len(m.Invalid) != 1 || m.Set != 0 || m.Beats != nil {
			t.Errorf("%q: %+v, %v", bad, m, err)
		}
		for _, s := range m.Invalid {
			if len(s) > 200 || strings.ContainsAny(s, "\x1b\n") {
				t.Errorf("%q: unfit reason %q", bad, s)
			}
		}
	}
}

func TestDecodeRefusesTheWhole(t *testing.T) {
	tests := []struct {
		in   string
		want error
	}{
		{"", ErrEmpty},
		{"\n\n", ErrEmpty},
		{"\x00", ErrEmpty},
		{"READY=1\x00STATUS=x", ErrNUL},
		{"READY=1\x00\x00", ErrNUL},
		{strings.Repeat("A=1\n", MaxAssignments+1), ErrTooMany},
		{strings.Repeat("x", MaxDatagram+1), ErrTooLarge},
	}
	for _, tt := range tests {
		if _, err := Decode([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("Decode(%.20q): %v, want %v", tt.in, err, tt.want)
		}
	}
	if m, err := Decode([]byte(strings.Repeat("A=1\n", MaxAssignments))); err != nil || m.Unknown != MaxAssignments {
		t.Errorf("%d assignments: %+v, %v", MaxAssignments, m, err)
	}
	if _, err := Decode([]byte(strings.Repeat("x", MaxDatagram))); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
}

func TestDecodeStatusIsBoundedAndClean(t *testing.T) {
	m, err := Decode([]byte("STATUS=" + strings.Repeat("ä", MaxStatus)))
	if err != nil || len(m.Status) != MaxStatus || !utf8.ValidString(m.Status) {
		t.Errorf("%d bytes, %v", len(m.Status), err)
	}
	m, _ = Decode([]byte("STATUS=a\x1b[31m\tb\xff\u202ec"))
	if m.Status != "a\ufffd[31m\ufffdb\ufffd\ufffdc" {
		t.Errorf("%q", m.Status)
	}
}

func TestMessageDoesNotReferToTheBuffer(t *testing.T) {
	b := []byte("STATUS=hello\nX_VIGIL_BEAT=abc")
	m, _ := Decode(b)
	clear(b)
	if m.Status != "hello" || m.Beats[0] != "abc" {
		t.Errorf("%+v", m)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=x\nWATCHDOG_USEC=5\nMAINPID=3"))
	f.Add([]byte("X_VIGIL_BEAT=a\nBARRIER=1\x00"))
	f.Add([]byte("STATUS=\xff\xfe\u2028"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			if !m.Empty() && errors.Is(err, ErrTooMany) {
				t.Errorf("refused datagram has content: %+v", m)
			}
			return
		}
		if len(m.Status) > MaxStatus || !utf8.ValidString(m.Status) || strings.ContainsAny(m.Status, "\x00\n\r\x1b") {
			t.Errorf("status %q", m.Status)
		}
		for _, n := range m.Beats {
			if !ValidBeatName(n) {
				t.Errorf("beat %q", n)
			}
		}
		if m.Watchdog < 0 || m.Watchdog > MaxInterval || m.Extend < 0 || m.Extend > MaxInterval || m.Monotonic < 0 || m.MainPID < 0 || m.MainPID > maxPID {
			t.Errorf("out of range: %+v", m)
		}
		if len(m.Invalid)+len(m.Beats)+m.Unknown > MaxAssignments {
			t.Errorf("too much: %+v", m)
		}
	})
}
