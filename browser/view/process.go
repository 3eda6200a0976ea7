package view

import (
	"fmt"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Process adds to a process what it did since it was looked at first, and the
// sockets of its descriptors. before and world may be nil.
func Process(p, before *snapshot.Process, world *snapshot.World) api.ProcessView {
	out := api.ProcessView{Process: *p, Deltas: []api.ThreadDelta{}, Opened: []api.Descriptor{}}
	if before != nil && before.PID == p.PID && before.StartTicks == p.StartTicks && !before.Taken.IsZero() && p.Taken.After(before.Taken) {
		out.Between = snapshot.SecondsOf(p.Taken.Sub(before.Taken))
		out.Deltas = deltas(p.Threads, before.Threads)
	}
	sockets := map[int]snapshot.Socket{}
	if world != nil && world.PID == p.PID {
		for _, s := range world.Sockets {
			sockets[s.FD] = s
		}
	}
	for _, fd := range p.FDs {
		text := fd.Target
		if s, ok := sockets[fd.Number]; ok {
			text += "  " + socketText(s)
		}
		out.Opened = append(out.Opened, api.Descriptor{FD: fd.Number, Text: text})
	}
	return out
}

// deltas compares threads; one that counts less than before is another by now.
func deltas(now, before []snapshot.Thread) []api.ThreadDelta {
	was := make(map[int]snapshot.Thread, len(before))
	for _, t := range before {
		was[t.TID] = t
	}
	list := []api.ThreadDelta{}
	for _, t := range now {
		w, ok := was[t.TID]
		d := api.ThreadDelta{
			TID: t.TID, CPU: t.UserTime + t.SystemTime - w.UserTime - w.SystemTime,
			Voluntary: t.Voluntary - w.Voluntary, Involuntary: t.Involuntary - w.Involuntary,
		}
		if ok && d.CPU >= 0 && d.Voluntary >= 0 && d.Involuntary >= 0 {
			list = append(list, d)
		}
	}
	return list
}

func socketText(s snapshot.Socket) string {
	text := "tcp " + s.Local
	if s.Remote != "" {
		text += " -> " + s.Remote
	}
	text += " " + s.State
	if s.Retransmits > 0 {
		text += fmt.Sprintf(", %d retransmits", s.Retransmits)
	}
	return text
}
