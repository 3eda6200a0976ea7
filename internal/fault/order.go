package fault

import (
	"fmt"
	"strconv"
	"strings"
)

// Variable is the environment variable that gives the order, or the file of it.
const Variable = "VIGIL_FAULT"

// order is what shall happen, where and when.
type order struct {
	point, action string
	nth           int
}

// The actions.
const (
	actionKill = "kill"
	actionStop = "stop"
)

// parse reads "point:action:nth".
func parse(text string) (order, error) {
	parts := strings.Split(strings.TrimSpace(text), ":")
	if len(parts) != 3 || parts[0] == "" {
		return order{}, fmt.Errorf("cannot read fault %q: it is not point:action:nth", text)
	}
	nth, err := strconv.Atoi(parts[2])
	if err != nil || nth < 1 {
		return order{}, fmt.Errorf("cannot read fault %q: %q is no number from 1 on", text, parts[2])
	}
	if parts[1] != actionKill && parts[1] != actionStop {
		return order{}, fmt.Errorf("cannot read fault %q: no action is named %q", text, parts[1])
	}
	return order{parts[0], parts[1], nth}, nil
}
