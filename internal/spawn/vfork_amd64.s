#include "textflag.h"

#define SYS_rt_sigprocmask	14
#define SYS_getpid		39
#define SYS_exit_group		231

// func vfork(f *frame)
//
// The child uses registers only: R12 the frame, R13 the entry. The kernel
// destroys RCX and R11.
TEXT ·vfork(SB), NOSPLIT, $0-8
	MOVQ	f+0(FP), R12

	MOVQ	$SYS_rt_sigprocmask, AX
	MOVQ	$2, DI			// SIG_SETMASK
	LEAQ	56(R12), SI
	LEAQ	64(R12), DX
	MOVQ	$8, R10
	SYSCALL

	MOVQ	8(R12), AX
	MOVQ	16(R12), DI
	MOVQ	24(R12), SI
	MOVQ	32(R12), DX
	MOVQ	40(R12), R10
	MOVQ	48(R12), R8
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, 72(R12)

	MOVQ	$SYS_rt_sigprocmask, AX
	MOVQ	$2, DI
	LEAQ	64(R12), SI
	MOVQ	$0, DX
	MOVQ	$8, R10
	SYSCALL
	RET

child:
	MOVQ	0(R12), R13
step:
	MOVQ	R13, 80(R12)
	MOVQ	0(R13), AX
	CMPQ	AX, $-1
	JEQ	putpid
	MOVQ	8(R13), DI
	MOVQ	16(R13), SI
	MOVQ	24(R13), DX
	MOVQ	32(R13), R10
	MOVQ	40(R13), R8
	MOVQ	48(R13), R9
	SYSCALL
	CMPQ	AX, $-4095
	JCC	failed			// unsigned: -4095 to -1
	MOVQ	64(R13), CX
	TESTQ	CX, CX
	JEQ	next
	MOVQ	AX, (CX)
next:
	ADDQ	$72, R13
	JMP	step

failed:
	NEGQ	AX
	CMPQ	AX, $64
	JCC	report
	MOVQ	56(R13), CX
	BTQ	AX, CX
	JCS	next
report:
	MOVQ	AX, 88(R12)
exit:
	MOVQ	$SYS_exit_group, AX
	MOVQ	$127, DI
	SYSCALL
	JMP	exit

putpid:
	MOVQ	$SYS_getpid, AX
	SYSCALL
	MOVQ	AX, SI			// the pid
	MOVQ	8(R13), DI		// where it goes
	MOVQ	$10, BX
count:
	INCQ	DI			// one byte per digit
	MOVQ	$0, DX
	DIVQ	BX
	TESTQ	AX, AX
	JNE	count
	MOVB	$0, (DI)
	MOVQ	SI, AX
digit:
	DECQ	DI
	MOVQ	$0, DX
	DIVQ	BX
	ADDQ	$48, DX
	MOVB	DX, (DI)
	TESTQ	AX, AX
	JNE	digit
	JMP	next
