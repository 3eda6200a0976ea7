package supervisor_test

import (
	"os"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
)

func threeActivities(s control.Service) bool {
	n := 0
	for _, one := range s.Signs {
		if one.Kind == "activity" {
			n++
		}
	}
	return n == 3
}

// TestActivityWedged: of three activities one is silent. It is named, and with
// the next instance its slot is free of the past.
func TestActivityWedged(t *testing.T) {
	v := up(t, "activities", "ready.notify = true\n", "")
	v.service("three activities", threeActivities)
	v.replace() // of the supervisor: the page is found again
	v.service("three activities of the next supervisor", threeActivities)
	touch(v.path("hold"))
	e := v.event("verdict", "hang: activity `flusher`")
	if !regexp.MustCompile("^hang: activity `flusher` \\(thread [0-9]+, comm `[^`]+`\\) busy, silent for [0-9.m]+s of 500ms; 2 others fine$").MatchString(e.Text) {
		t.Errorf("the verdict is %q", e.Text)
	}
	_ = os.Remove(v.path("hold"))
	v.service("another instance", func(s control.Service) bool { return s.Instance == 2 && threeActivities(s) })
}

// TestActivitiesOfNextInstance: the keeper starts another instance by itself, on
// the same page, in which nothing of the former one is left.
func TestActivitiesOfNextInstance(t *testing.T) {
	v := up(t, "activities", "ready.notify = true\n", "")
	first := v.service("three activities", threeActivities)
	if err := unix.Kill(first.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	v.service("another instance", func(s control.Service) bool { return s.Instance == 2 && s.State == "running" && threeActivities(s) })
}
