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

// A short number is packed into 8 bits: 4 bits of exponent, 4 of mantissa. Values
// below 16 are exact, greater ones are rounded down by less than 1/16 of
// themselves, and what is above maxShort becomes maxShort.
const maxShort = uint64(31) << 14

func packShort(n uint64) uint8 {
	if n < 16 {
		return uint8(n)
	}
	n = min(n, maxShort)
	shift := bits.Len64(n) - 5
	return uint8(shift+1)<<4 | uint8(n>>shift)&15
}

func unpackShort(c uint8) uint64 {
	exponent, mantissa := c>>4, uint64(c&15)
	if exponent == 0 {
		return mantissa
	}
	return (mantissa | 16) << (exponent - 1)
}
