package control

import "fmt"

// Caller is the process that made a request, by the credentials of its
// connection (SO_PEERCRED, unix(7)): as it was when it connected.
type Caller struct {
	PID     int    `json:"pid"` // 0 when it is in a pid namespace that cannot be seen from here
	UID     int    `json:"uid"`
	Command string `json:"command"` // its comm, "" when it is gone
	// Parent is who started it, as far as that is known: logrotate, say.
	Parent        int    `json:"parent,omitempty"`
	ParentCommand string `json:"parent_command,omitempty"`
}

func (c Caller) String() string {
	command := c.Command
	if command == "" {
		command = "?"
	}
	return fmt.Sprintf("pid %d (%s) uid %d", c.PID, command, c.UID)
}
