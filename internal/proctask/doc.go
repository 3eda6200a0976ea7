// Package proctask looks at the threads of one process from outside: which there
// are, what they are called, and whether they have been given a processor since
// the last look. All of it comes from /proc/PID/task (proc_pid_task(5)), so the
// program need not know.
//
// A first look reads every thread. Further ones list the threads, which is one
// system call for hundreds, and read only those that are asked for: a process
// of 1,000 threads in which three matter costs little more than three.
//
// What is called a process here is one thread group. Children of it have their
// own.
package proctask
