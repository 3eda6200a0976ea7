// Package systemd is a test: the units of packaging/systemd and internal/manager
// under a real systemd, which is booted in a container for it.
package systemd
