// Package native reads the stacks of all threads of a program by its machine
// frames: of C, C++, Rust, and of any runtime that has nothing better to say.
//
// It goes down a ladder: eu-stack of elfutils, which is quick and knows every
// library's symbols; gdb, which is slower and unwinds more; and without either,
// or when both failed, a walk of its own over frame pointers. Each rung has a
// share of the budget and is left behind when it is up.
//
// A tool attaches by PTRACE_ATTACH, which stops a thread by SIGSTOP; when the
// tool is killed in between, the thread stays stopped for good. So after every
// tool the threads are looked at, and a stop that was not there before is ended.
package native
