// Package logrotate is a test: a real logrotate(8) rotates the logs of real
// services under the real vigil, in every way that stanzas in the wild do.
package logrotate
