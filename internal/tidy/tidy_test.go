package tidy

import (
	"testing"
	"time"
)

func TestOnceAfterEachBurst(t *testing.T) {
	var d Tidy
	if d.Next() != 0 {
		t.Error("there is something to do before any work")
	}
	d.Worked(time.Second)
	d.Worked(2 * time.Second)
	if d.Next() != 2*time.Second+after {
		t.Errorf("next is %v", d.Next())
	}
	d.OnTime(d.Next() - 1)
	if d.Next() == 0 {
		t.Error("it was done too early")
	}
	d.OnTime(d.Next())
	if d.Next() != 0 {
		t.Error("it is to be done twice")
	}
}
