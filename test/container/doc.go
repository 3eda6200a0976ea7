// Package container is a test: the real vigil as pid 1 of a pid namespace, as
// in a container, each in a mount namespace of its own. It needs root.
package container
