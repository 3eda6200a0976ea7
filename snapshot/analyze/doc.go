// Package analyze turns the evidence of a snapshot into an order of reading, a
// sentence and a fingerprint. It is pure: no I/O, no clock.
package analyze
