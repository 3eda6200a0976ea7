package capture

import "debug/elf"

// The shape of a thread in an ELF core of this machine.
const (
	machine     = elf.EM_X86_64
	registers   = 216   // struct user_regs_struct
	extraSet    = 0x202 // NT_X86_XSTATE
	extraName   = "LINUX"
	extraMost   = 16 << 10 // XSAVE area; AMX makes it 11 KiB
	prstatusLen = 336
	pcAt, spAt  = 16 * 8, 19 * 8 // rip, rsp in user_regs_struct
)
