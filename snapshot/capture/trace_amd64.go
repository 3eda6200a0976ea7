package capture

// syscallAt is the offset of orig_rax in user_regs_struct, <sys/user.h>: the
// number of the system call that the thread is in.
const syscallAt = 15 * 8
