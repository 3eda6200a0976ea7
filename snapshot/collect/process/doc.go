// Package process reads what /proc tells about a process and its threads.
//
// It works on a running process and on one that is frozen, and needs no
// privilege for its own user's processes; what is refused is named in Denied.
// Cheap things come first: when the context ends, the rest is left out.
package process
