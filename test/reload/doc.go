// Package reload tests reloads and upgrades of a real vigil: real binaries of
// several versions, real services, real signals. It has no code of its own.
package reload
