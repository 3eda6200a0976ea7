// Package recorder is the flight recorder of a service: the last 15 minutes, one
// sample a second, in 18 KB of memory that outlives a supervisor.
//
// The memory is a ring of fixed records in a memfd. Each sample is one write of
// the record, then one of the head, so that a kill at any point leaves a ring
// that can be read; a reader needs nothing but the descriptor.
package recorder
