#include "textflag.h"

#define SYS_exit_group		94
#define SYS_rt_sigprocmask	135
#define SYS_getpid		172

// func vfork(f *frame)
//
// The child uses registers only: R19 the frame, R20 the entry. The kernel
// preserves all but R0.
TEXT ·vfork(SB), NOSPLIT, $0-8
	MOVD	f+0(FP), R19

	MOVD	$SYS_rt_sigprocmask, R8
	MOVD	$2, R0			// SIG_SETMASK
	ADD	$56, R19, R1
	ADD	$64, R19, R2
	MOVD	$8, R3
	SVC

	MOVD	8(R19), R8
	MOVD	16(R19), R0
	MOVD	24(R19), R1
	MOVD	32(R19), R2
	MOVD	40(R19), R3
	MOVD	48(R19), R4
	SVC
	CBZ	R0, child
	MOVD	R0, 72(R19)

	MOVD	$SYS_rt_sigprocmask, R8
	MOVD	$2, R0
	ADD	$64, R19, R1
	MOVD	$0, R2
	MOVD	$8, R3
	SVC
	RET

child:
	MOVD	0(R19), R20
step:
	MOVD	R20, 80(R19)
	MOVD	0(R20), R8
	CMN	$1, R8
	BEQ	putpid
	MOVD	8(R20), R0
	MOVD	16(R20), R1
	MOVD	24(R20), R2
	MOVD	32(R20), R3
	MOVD	40(R20), R4
	MOVD	48(R20), R5
	SVC
	CMN	$4095, R0
	BCS	failed			// unsigned: -4095 to -1
	MOVD	64(R20), R9
	CBZ	R9, next
	MOVD	R0, (R9)
next:
	ADD	$72, R20
	B	step

failed:
	NEG	R0, R0
	CMP	$64, R0
	BCS	report
	MOVD	56(R20), R9
	LSR	R0, R9, R9
	TBNZ	$0, R9, next
report:
	MOVD	R0, 88(R19)
exit:
	MOVD	$SYS_exit_group, R8
	MOVD	$127, R0
	SVC
	B	exit

putpid:
	MOVD	$SYS_getpid, R8
	SVC
	MOVD	8(R20), R10		// where it goes
	MOVD	$10, R11
	MOVD	R0, R12
count:
	ADD	$1, R10			// one byte per digit
	UDIV	R11, R12, R12
	CBNZ	R12, count
	MOVB	ZR, (R10)
digit:
	SUB	$1, R10
	UDIV	R11, R0, R12
	MSUB	R12, R0, R11, R13	// R13 = R0 - R12*10
	ADD	$48, R13
	MOVB	R13, (R10)
	MOVD	R12, R0
	CBNZ	R0, digit
	B	next
