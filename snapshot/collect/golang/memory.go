package golang

import (
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
)

// eval evaluates an expression of the runtime's package variables.
func (r *reading) eval(expr string) (*proc.Variable, error) {
	// A goroutine's scope would do as well; a thread's always exists.
	scope, err := proc.ThreadScope(r.target, r.target.CurrentThread())
	if err != nil {
		return nil, err
	}
	return scope.EvalExpression(expr, proc.LoadConfig{MaxStringLen: 64, MaxStructFields: 4})
}

// address evaluates &expr.
func (r *reading) address(expr string) (uint64, error) {
	v, err := r.eval("&" + expr)
	if err != nil {
		return 0, err
	}
	if v.Unreadable != nil || len(v.Children) != 1 {
		return 0, fmt.Errorf("cannot find the address of %s", expr)
	}
	return v.Children[0].Addr, nil
}

// base is a made-up address at which the offset of a field is measured.
const base = 0x10000

// offset is that of a field in a runtime struct, as this build has it.
func (r *reading) offset(structure, field string) (uint64, error) {
	a, err := r.address(fmt.Sprintf("(*(*%s)(%#x)).%s", structure, base, field))
	return a - base, err
}

// offsetsOf looks offsets of fields up.
func (r *reading) offsetsOf(structure string, fields ...string) ([]uint64, error) {
	list := make([]uint64, len(fields))
	for i, f := range fields {
		at, err := r.offset(structure, f)
		if err != nil {
			return nil, fmt.Errorf("cannot find %s.%s: %w", structure, f, err)
		}
		list[i] = at
	}
	return list, nil
}

// word reads one pointer-sized word; 0 when it is not in the core.
func (r *reading) word(addr uint64) uint64 { return r.mem.word(addr) }

// staticBase is by how much the executable was moved in memory: not at all,
// unless it is position-independent.
func (r *reading) staticBase() uint64 {
	if images := r.target.BinInfo().Images; len(images) > 0 {
		return images[0].StaticBase
	}
	return 0
}
