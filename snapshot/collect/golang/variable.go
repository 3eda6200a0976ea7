package golang

import (
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of the variables of one stack.
const (
	maxFrames    = 16  // frames with variables
	maxVariables = 64  // of one frame, arguments and locals each
	maxValue     = 256 // bytes of a value
)

// load bounds what Delve reads of one variable.
func load() proc.LoadConfig {
	return proc.LoadConfig{FollowPointers: true, MaxVariableRecurse: 1, MaxStringLen: 64, MaxArrayValues: 8, MaxStructFields: 16}
}

// variables reads arguments and locals of the sample of a group. Frames of the
// runtime have none that help.
func (r *reading) variables(g *snapshot.Group, s *sample) {
	done := 0
	for i := range g.Frames {
		f := &g.Frames[i]
		if done == maxFrames {
			return
		}
		if strings.HasPrefix(f.Function, "runtime.") || f.Function == "?" {
			continue
		}
		done++
		scope := proc.FrameToScope(r.target, r.target.Memory(), s.g, 0, s.frames[i:]...)
		if list, err := scope.FunctionArguments(load()); err == nil {
			f.Arguments = show(list)
		}
		if list, err := scope.LocalVariables(load()); err == nil {
			f.Locals = show(list)
		}
	}
}

func show(list []*proc.Variable) []snapshot.Variable {
	var out []snapshot.Variable
	for _, v := range list[:min(len(list), maxVariables)] {
		// A named result that the function has not set yet is always unreadable.
		if v.Flags&proc.VariableReturnArgument != 0 && v.Unreadable != nil {
			continue
		}
		out = append(out, showOne(v))
	}
	return out
}

func showOne(v *proc.Variable) snapshot.Variable {
	out := snapshot.Variable{Name: v.Name}
	if v.DwarfType != nil {
		out.Type = v.DwarfType.String()
	}
	switch {
	case snapshot.LooksSecret(v.Name):
		out.Masked, out.Value = true, snapshot.Mask
	case v.Unreadable != nil:
		out.Error = cut(unreadable(v.Unreadable.Error()))
	default:
		value := api.ConvertVar(v)
		tidy(value)
		out.Value = cut(value.SinglelineString())
	}
	return out
}

// unreadable shortens the two errors by which Delve says that an optimised build
// does not keep a value here: they name addresses that help nobody, and hide
// that the reason is the same for all.
func unreadable(reason string) string {
	if strings.HasPrefix(reason, "could not find loclist entry") || strings.Contains(reason, "reading spliced memory") {
		return "optimised away"
	}
	return reason
}

// cut bounds a value at a rune and makes it one line.
func cut(s string) string {
	s = strings.ReplaceAll(s, "\n", `\n`)
	if len(s) <= maxValue {
		return s
	}
	return strings.ToValidUTF8(s[:maxValue], "") + "..."
}
