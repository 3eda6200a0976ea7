#include "textflag.h"

#define SYS_write		64

// The handler. The kernel enters it with R0 the signal, R1 the siginfo_t on the
// signal stack, R2 the context, R30 the vDSO's call of rt_sigreturn, and all
// signals blocked. It uses no stack, no g, and may destroy every register but
// R30: rt_sigreturn restores them all. A system call preserves all but R0.
// Exclusive load and store, for not every processor has atomic instructions.
TEXT ·handler(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVD	R0, R9
	MOVD	$·writeEnd(SB), R10
	MOVW	(R10), R11
	MOVD	R11, R0
	MOVD	$128, R2
	MOVD	$SYS_write, R8
	SVC
	CMP	$128, R0
	BEQ	done
	MOVD	$·missed(SB), R10
	ADD	R9<<3, R10, R10
again:
	LDAXR	(R10), R12
	ADD	$1, R12
	STLXR	R12, (R10), R13
	CBNZ	R13, again
	MOVD	R11, R0
	MOVD	$·poke(SB), R1		// see missed
	SVC
done:
	RET

// func handlerAddress() uintptr
TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	MOVD	$·handler(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// The kernel returns from a handler through its vDSO (arch/arm64/kernel/signal.c).
// func restorerAddress() uintptr
TEXT ·restorerAddress(SB), NOSPLIT, $0-8
	MOVD	ZR, ret+0(FP)
	RET
