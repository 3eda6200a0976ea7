// Package world looks at what stands around a process: its TCP sockets with what
// waits in them, the neighbours behind whom its peers are, counters of its
// network namespace, its cgroup, the pressure on the machine. Nothing is sent to
// anybody; the process is not touched.
package world
