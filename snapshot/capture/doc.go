// Package capture freezes a process for a moment and copies its memory into an
// ELF core that unmodified Delve and gdb read.
//
// It uses PTRACE_SEIZE (Linux 3.4), never PTRACE_ATTACH: no SIGSTOP is sent, no
// byte of the target is written, and the kernel frees the target by itself when
// the tracing thread dies. A target that was stopped by SIGSTOP before stays
// stopped after. The pause is bounded by the context: past it the target is
// released at once and the result says what is missing.
//
// Shared memory is left out of the core, read-only memory too: text and
// constants come from the executable.
package capture
