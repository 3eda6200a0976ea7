package python

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// offsets are where CPython keeps what a reader from outside needs. CPython says
// it itself: _Py_DebugOffsets, at the begin of _PyRuntime, in the ELF section
// .PyRuntime (Include/internal/pycore_runtime.h, 3.13). The structure differs
// between minor versions, so only known ones are read.
type offsets struct {
	version uint64

	interpreters                   uint64 // in the runtime: the first interpreter
	nextInterpreter, threads       uint64 // in an interpreter
	gilLocked, gilHolder           uint64
	nextThread, frame, nativeID    uint64 // in a thread state
	previous, executable, instr    uint64 // in a frame
	owner                          uint64
	filename, name, lines, first   uint64 // in a code object
	code                           uint64
	bytesSize, bytesData           uint64
	textState, textLength, textEnd uint64 // in a str; where its data begins, if ASCII
}

const (
	cookie    = "xdebugpy"
	words313  = 72 // 64-bit words of the structure of 3.13, cookie included
	maxOffset = 1 << 20

	// maxFrameSize is what is read of a frame at once; the fields that are needed are in
	// its first 80 bytes, and no frame is smaller (3.13: sizeof is 80 or more).
	maxFrameSize = 80
	major, minr  = 3, 13
)

var errVersion = errors.New("only CPython 3.13 with its global lock is understood")

// parseOffsets reads the structure.
func parseOffsets(b []byte) (offsets, error) {
	if len(b) < words313*8 || string(b[:8]) != cookie {
		return offsets{}, errors.New("the runtime of CPython has no debug offsets (3.13 and later have)")
	}
	w := make([]uint64, words313-1) // behind the cookie
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(b[8+8*i:])
	}
	if w[0]>>24 != major || w[0]>>16&0xff != minr || w[1] != 0 {
		return offsets{}, errVersion
	}
	for _, v := range w[2:70] {
		if v > maxOffset {
			return offsets{}, fmt.Errorf("an offset of %d is no offset", v)
		}
	}
	for _, v := range []uint64{w[28], w[29], w[30], w[32]} {
		if v > maxFrameSize-8 {
			return offsets{}, fmt.Errorf("an offset of %d is not within a frame", v)
		}
	}
	return offsets{
		version: w[0], interpreters: w[4], nextInterpreter: w[7], threads: w[8], gilLocked: w[16], gilHolder: w[17],
		nextThread: w[20], frame: w[22], nativeID: w[24], previous: w[28], executable: w[29], instr: w[30], owner: w[32],
		filename: w[34], name: w[36], lines: w[37], first: w[38], code: w[42], bytesSize: w[64], bytesData: w[65],
		textState: w[67], textLength: w[68], textEnd: w[69],
	}, nil
}
