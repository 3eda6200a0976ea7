#include "textflag.h"

// func store(p *atomic.Uint64, v uint64)
// An aligned store of 8 bytes is atomic and a release (Intel SDM vol. 3A,
// 9.1.1 and 9.2.2).
TEXT ·store(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), AX
	MOVQ v+8(FP), BX
	MOVQ BX, (AX)
	RET
