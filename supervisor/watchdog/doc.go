// Package watchdog turns what a service says into what is known about its
// life. A Receiver takes the sd_notify datagrams of one service and refuses
// those of strangers; a Sign is the bookkeeping of one sign of life: when it
// was last seen, when it becomes suspect and when it is confirmed missing.
//
// Signs have neither goroutines nor a clock: the owner passes CLOCK_BOOTTIME
// (internal/clock) and asks Next for the time at which to look again.
package watchdog
