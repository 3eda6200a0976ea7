// Package jvm takes what a Java virtual machine (HotSpot) says of itself: its
// threads with their locks, its heap, its safepoints. Nothing else reads the
// threads of a JVM: a debugger sees two frames of each.
//
// It asks in this order, each within its own time, until one answers: by the
// attach protocol of HotSpot, which needs no tool of a JDK; by the command jcmd;
// by SIGQUIT, when the output of the process is a file; by jhsdb, which stops it.
package jvm
