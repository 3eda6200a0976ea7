package capture

// syscallAt is the offset of x8 in user_pt_regs, <asm/ptrace.h>: the number of
// the system call that the thread is in.
const syscallAt = 8 * 8
