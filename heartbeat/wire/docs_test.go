package wire

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The layout in docs/heartbeat.md is the one of this package.
func TestDocumentedLayout(t *testing.T) {
	b, err := os.ReadFile("../../docs/heartbeat.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "## Layout, version "+fmt.Sprint(PageVersion))
	if !found {
		t.Fatal("no layout")
	}
	for _, row := range []struct {
		offset int
		kind   string
		begins string
	}{
		{offMagic, fmt.Sprintf("[%d]byte", len(PageMagic)), "magic, `" + strings.TrimRight(PageMagic, "\x00") + "` and a NUL"},
		{offVersion, "u32", fmt.Sprintf("version, %d ", PageVersion)},
		{offHeaderSize, "u32", fmt.Sprintf("size of the header, %d ", HeaderSize)},
		{offSlotSize, "u32", fmt.Sprintf("size of a slot, %d ", SlotSize)},
		{offSlotCount, "u32", fmt.Sprintf("number of slots, 1 to %d ", MaxSlots)},
		{offPageSize, "u64", fmt.Sprintf("size of the page, %d + %d for", HeaderSize, SlotSize)},
		{offPageSize + 8, fmt.Sprintf("[%d]byte", HeaderSize-offPageSize-8), "reserved"},
		{offPulse, "u64", "pulse: beats << 8"},
		{offTimeout, "u64", "timeout in ns"},
		{offPID, "u32", "pid"},
		{offTID, "u32", "tid"},
		{offSerial, "u32", "serial"},
		{offSerial + 4, "u32", "reserved"},
		{offName, fmt.Sprintf("[%d]byte", MaxSlotName), "name, UTF-8"},
	} {
		// In this order, so each is looked for after the one before.
		line := fmt.Sprintf("\n| %d | %s | %s", row.offset, row.kind, row.begins)
		if _, text, found = strings.Cut(text, line); !found {
			t.Fatalf("no row %q after the one before", line)
		}
	}
	var states []string
	for s := Free; s <= Stopping; s++ {
		states = append(states, fmt.Sprintf("%d %v", s, s))
	}
	if line := "States of a slot: " + strings.Join(states, ", ") + "."; !strings.Contains(text, line) {
		t.Errorf("no line %q", line)
	}
	if !strings.Contains(string(b), fmt.Sprintf("at most %d bytes of UTF-8", MaxSlotName)) || !strings.Contains(string(b), fmt.Sprintf("(%d if it does not)", DefaultSlots)) ||
		!strings.Contains(string(b), fmt.Sprintf("A name has 1 to %d ASCII letters", MaxBeatName)) {
		t.Error("a limit of the text is not the one of the package")
	}
}
