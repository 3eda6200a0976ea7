package capture

import "debug/elf"

// The shape of a thread in an ELF core of this machine.
const (
	machine     = elf.EM_AARCH64
	registers   = 272 // struct user_pt_regs
	extraSet    = 2   // NT_PRFPREG
	extraName   = "CORE"
	extraMost   = 528 // struct user_fpsimd_state
	prstatusLen = 392
	pcAt, spAt  = 32 * 8, 31 * 8 // pc, sp in user_pt_regs
)
