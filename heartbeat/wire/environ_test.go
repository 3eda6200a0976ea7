package wire

import (
	"slices"
	"testing"
	"time"
)

func TestEnviron(t *testing.T) {
	tests := []struct {
		path     string
		watchdog time.Duration
		pid      int
		want     []string
	}{
		{"", 0, 0, nil},
		{"/run/n", 0, 7, []string{"NOTIFY_SOCKET=/run/n"}},
		{"/run/n", 2 * time.Second, 7, []string{"NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=2000000", "WATCHDOG_PID=7"}},
		{"/run/n", time.Microsecond, 0, []string{"NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=1", "WATCHDOG_PID=" + PIDPlaceholder}},
		{"/run/n", time.Second, -1, []string{"NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=1000000"}},
		{"/run/n", 999 * time.Nanosecond, 7, []string{"NOTIFY_SOCKET=/run/n"}},
	}
	for _, tt := range tests {
		if got := Environ(tt.path, tt.watchdog, tt.pid); !slices.Equal(got, tt.want) {
			t.Errorf("Environ(%q, %v, %d) = %q", tt.path, tt.watchdog, tt.pid, got)
		}
	}
}

func TestScrub(t *testing.T) {
	env := []string{"PATH=/bin", "NOTIFY_SOCKET=/x", "VIGIL_INSTANCE=1", "LISTEN_FDS=3", "STATE_DIRECTORY=/s", "WATCHDOG_PID", "=odd", "INVOCATION_ID=a"}
	before := slices.Clone(env)
	if got, want := Scrub(env), []string{"PATH=/bin", "STATE_DIRECTORY=/s", "=odd"}; !slices.Equal(got, want) {
		t.Errorf("Scrub = %q", got)
	}
	if !slices.Equal(env, before) {
		t.Error("Scrub changed its argument")
	}
}
