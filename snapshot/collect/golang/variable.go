package golang

import (
	"reflect"
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
		out.Error = cut(v.Unreadable.Error())
	default:
		value := api.ConvertVar(v)
		out.Masked = maskInside(value)
		out.Value = cut(value.SinglelineString())
	}
	return out
}

// maskInside masks fields and map values whose names look secret.
func maskInside(v *api.Variable) (masked bool) {
	for i := range v.Children {
		c := &v.Children[i]
		name := c.Name
		if v.Kind == reflect.Map {
			if i%2 == 0 {
				continue
			}
			name = v.Children[i-1].Value
		}
		if snapshot.LooksSecret(name) {
			*c = api.Variable{Name: c.Name, Type: "string", Kind: reflect.String, Value: snapshot.Mask, Len: int64(len(snapshot.Mask))}
			masked = true
			continue
		}
		masked = maskInside(c) || masked
	}
	return masked
}

// cut bounds a value at a rune and makes it one line.
func cut(s string) string {
	s = strings.ReplaceAll(s, "\n", `\n`)
	if len(s) <= maxValue {
		return s
	}
	return strings.ToValidUTF8(s[:maxValue], "") + "..."
}
