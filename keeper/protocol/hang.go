package protocol

import (
	"encoding/json"
	"fmt"
	"time"
)

// A supervisor that hangs cannot tell of itself. The keeper leaves a directory
// in HangDir of the state directory, with HangFile and what vigil-capture
// writes; the next supervisor makes an incident of it.
const (
	HangDir   = "supervisor"
	HangFile  = "hang.json"
	HangWords = "capture.err" // stderr of vigil-capture
	// MaxHangs is how many such directories may wait. Each can hold a core.
	MaxHangs = 3
	// MaxHang bounds HangFile in bytes.
	MaxHang = 64 << 10
)

// Hang is the content of HangFile.
type Hang struct {
	PID     int           `json:"pid"`
	Ticks   uint64        `json:"ticks"` // start time, field 22 of /proc/PID/stat
	Epoch   uint64        `json:"epoch"`
	Version string        `json:"version,omitempty"`
	Time    time.Time     `json:"time"`    // of the verdict, UTC
	Boot    time.Duration `json:"boot"`    // CLOCK_BOOTTIME of the verdict
	Silent  time.Duration `json:"silent"`  // how long it gave no sign of life
	Uptime  time.Duration `json:"uptime"`  // how long it had lived
	Missing string        `json:"missing"` // why nothing is captured, empty when it was tried
}

// DecodeHang reads the content of HangFile.
func DecodeHang(b []byte) (Hang, error) {
	var h Hang
	if len(b) > MaxHang {
		return h, fmt.Errorf("cannot read %s: it has %d bytes, the limit is %d", HangFile, len(b), MaxHang)
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("cannot read %s: %w", HangFile, err)
	}
	if y := h.Time.Year(); h.PID <= 0 || h.Silent < 0 || h.Uptime < 0 || y < 2000 || y > 9999 {
		return h, fmt.Errorf("cannot read %s: pid %d silent for %v at %v makes no sense", HangFile, h.PID, h.Silent, h.Time)
	}
	h.Time = h.Time.UTC()
	return h, nil
}
