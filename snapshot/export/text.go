package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Text writes stacks as their runtime would print them: of Go, as after a SIGQUIT,
// each goroutine of a group on its own; of a JVM, as jstack does. Tools that read
// such text read this. Arguments are not in it.
func Text(w io.Writer, s snapshot.Stacks) error {
	b := bufio.NewWriter(w)
	if s.Runtime == "jvm" {
		fmt.Fprintf(b, "Full thread dump (taken by vigil):\n\n")
	}
	for _, g := range s.Groups {
		for i, id := range g.IDs {
			switch s.Runtime {
			case "go":
				goroutine(b, g, id)
			default:
				thread(b, g, i)
			}
			b.WriteByte('\n')
		}
		if more := g.Count - len(g.IDs); more > 0 {
			fmt.Fprintf(b, "...%d more with this stack...\n\n", more)
		}
	}
	return b.Flush()
}

func goroutine(b *bufio.Writer, g snapshot.Group, id int64) {
	state := g.Status
	if g.WaitReason != "" {
		state = g.WaitReason
	}
	if g.WaitMax > 60 { // the runtime prints whole minutes, from the first one on
		state += fmt.Sprintf(", %d minutes", int(g.WaitMax)/60)
	}
	fmt.Fprintf(b, "goroutine %d [%s]:\n", id, state)
	for _, f := range g.Frames {
		if f.Function == "runtime.goexit" || f.Function == "runtime.gopark" {
			continue // the runtime does not print them either
		}
		fmt.Fprintf(b, "%s(...)\n\t%s:%d", f.Function, f.File, f.Line)
		if f.PC != 0 {
			fmt.Fprintf(b, " pc=%#x", f.PC)
		}
		b.WriteByte('\n')
	}
	if g.Cut {
		b.WriteString("...additional frames elided...\n")
	}
	if c := g.CreatedBy; c != nil {
		fmt.Fprintf(b, "created by %s\n\t%s:%d\n", c.Function, c.File, c.Line)
	}
}

func thread(b *bufio.Writer, g snapshot.Group, i int) {
	name, tid := "", 0
	if i < len(g.Members) {
		name, tid = g.Members[i].Name, g.Members[i].TID
	}
	fmt.Fprintf(b, "%q #%d nid=%#x %s\n", name, g.IDs[i], tid, g.WaitReason)
	if g.Status != "" {
		fmt.Fprintf(b, "   java.lang.Thread.State: %s\n", strings.ToUpper(g.Status))
	}
	for _, f := range g.Frames {
		switch {
		case f.Line > 0:
			fmt.Fprintf(b, "\tat %s(%s:%d)\n", f.Function, f.File, f.Line)
		case f.File != "":
			fmt.Fprintf(b, "\tat %s(%s)\n", f.Function, f.File)
		default:
			fmt.Fprintf(b, "\tat %s\n", f.Function)
		}
	}
}
