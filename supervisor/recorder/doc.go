// Package recorder keeps the last 15 minutes of every service: one sample a
// second, in memory that outlives the process that writes it.
//
// All rings are in one memfd (memfd_create(2), Linux 3.17), one slot of 20480
// bytes a service. A slot is a header of 680 bytes (version, the service's name,
// the names of up to 8 signs of life), a column of 900 seconds (uint32) and 900
// bodies of 18 bytes. A sample's place is its second of CLOCK_BOOTTIME modulo 900,
// so there is no head to be wrong about. The second is cleared before the body is
// written and stored after it: a writer that is killed at any point leaves at most
// that sample out. Numbers are in the byte order of the machine, since the memory
// never leaves it.
package recorder
