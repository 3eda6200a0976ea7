package python

// lineAt finds the line of a code unit in the location table of a code object
// (Objects/locations.md, CPython 3.11 and later): entries that begin with a byte
// of which the highest bit is set, bits 3 to 6 are the kind and bits 0 to 2 the
// number of code units less one. 0: there is none.
func lineAt(table []byte, first, unit int) int {
	line, at := first, 0
	for i := 0; i < len(table); {
		head := table[i]
		if head&0x80 == 0 {
			return 0
		}
		i++
		end := i
		for end < len(table) && table[end]&0x80 == 0 {
			end++
		}
		delta, none := lineDelta(head>>3&15, table[i:end])
		line += delta
		i, at = end, at+int(head&7)+1
		if unit < at {
			if none || line < 0 || line > maxLine {
				return 0
			}
			return line
		}
	}
	return 0
}

const maxLine = 1 << 30

// lineDelta is what an entry adds to the line; none says that it has no line.
func lineDelta(kind byte, rest []byte) (delta int, none bool) {
	switch {
	case kind == 15:
		return 0, true
	case kind == 13 || kind == 14:
		return signed(rest), false
	case kind >= 10:
		return int(kind) - 10, false
	}
	return 0, false
}

// signed reads a variable-length number: six bits a byte, lowest first, bit 6 says
// that more follow; the lowest bit of the whole is the sign.
func signed(b []byte) int {
	value, shift := uint64(0), 0
	for _, c := range b {
		value |= uint64(c&63) << shift
		shift += 6
		if c&64 == 0 || shift > 30 {
			break
		}
	}
	if value&1 != 0 {
		return -int(value >> 1)
	}
	return int(value >> 1)
}
