package recorder

import "math/bits"

// A number is packed into 16 bits: 5 bits of exponent, 11 of mantissa. Values
// below 2048 are exact, greater ones are rounded down by less than 1/1024 of
// themselves, and what is above maxNumber becomes maxNumber.
const (
	mantissaBits = 11
	mantissaMask = 1<<mantissaBits - 1
	maxExponent  = 31
)

// maxNumber is the greatest that can be kept, about 4.4e12.
const maxNumber = uint64(1<<mantissaBits|mantissaMask) << (maxExponent - 1)

func pack(n uint64) uint16 {
	if n <= mantissaMask {
		return uint16(n)
	}
	n = min(n, maxNumber)
	shift := bits.Len64(n) - (mantissaBits + 1) // the leading one is not kept
	return uint16(shift+1)<<mantissaBits | uint16(n>>shift)&mantissaMask
}

func unpack(c uint16) uint64 {
	exponent, mantissa := c>>mantissaBits, uint64(c&mantissaMask)
	if exponent == 0 {
		return mantissa
	}
	return (mantissa | 1<<mantissaBits) << (exponent - 1)
}
