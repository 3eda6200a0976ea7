#include "textflag.h"

#define SYS_write		1
#define SYS_rt_sigreturn	15

// The handler. The kernel enters it with DI the signal, SI the siginfo_t on the
// signal stack, DX the context, and all signals blocked. It uses no stack, no g,
// and may destroy every register: rt_sigreturn restores them all. The kernel
// preserves what it does not return or destroy (AX, CX, R11) over a system call.
TEXT ·handler(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVQ	DI, R8
	MOVL	·writeEnd(SB), DI
	MOVQ	$128, DX
	MOVQ	$SYS_write, AX
	SYSCALL
	CMPQ	AX, $128
	JEQ	done
	LEAQ	·missed(SB), R9
	LOCK
	INCQ	(R9)(R8*8)
	LEAQ	·poke(SB), SI		// see missed
	MOVQ	$SYS_write, AX
	SYSCALL
done:
	RET

// The name is what gdb looks for in the frame below a handler ("sigaction").
TEXT ·return__sigaction(SB), NOSPLIT|NOFRAME, $0
	MOVQ	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3			// not reached

// func handlerAddress() uintptr
TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	LEAQ	·handler(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorerAddress() uintptr
TEXT ·restorerAddress(SB), NOSPLIT, $0-8
	LEAQ	·return__sigaction(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
