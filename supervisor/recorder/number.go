package recorder

import "math/bits"

// format is a number packed into bits of exponent and of mantissa. Values below
// 1<<mantissa are exact, greater ones are rounded down by less than one part in
// 1<<mantissa of themselves (the leading one is not kept), and what is above the
// greatest becomes that.
type format struct{ exponent, mantissa int }

var (
	long  = format{exponent: 5, mantissa: 11} // 16 bits, exact below 2048, up to about 4.4e12
	short = format{exponent: 4, mantissa: 4}  // 8 bits, exact below 16, up to 507,904
)

func (f format) mask() uint64 { return 1<<f.mantissa - 1 }

// most is the greatest that can be kept.
func (f format) most() uint64 { return (1<<f.mantissa | f.mask()) << (1<<f.exponent - 2) }

func (f format) pack(n uint64) uint64 {
	if n <= f.mask() {
		return n
	}
	n = min(n, f.most())
	shift := bits.Len64(n) - (f.mantissa + 1)
	return uint64(shift+1)<<f.mantissa | n>>shift&f.mask()
}

func (f format) unpack(c uint64) uint64 {
	exponent, mantissa := c>>f.mantissa, c&f.mask()
	if exponent == 0 {
		return mantissa
	}
	return (mantissa | 1<<f.mantissa) << (exponent - 1)
}
