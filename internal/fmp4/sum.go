package fmp4

import "hash/crc32"

// one is the polynomial 1, with its coefficients in the order of the checksum's
// bits: the highest bit is that of x^0.
const one = 1 << 31

// byteShifts are x^(8·2^k) modulo the polynomial of the checksum.
var byteShifts = func() (shifts [32]uint32) {
	shifts[0] = one >> 8
	for k := 1; k < len(shifts); k++ {
		shifts[k] = multiply(shifts[k-1], shifts[k-1])
	}
	return shifts
}()

// multiply multiplies polynomials modulo that of the checksum.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a&one != 0 {
			product ^= b
		}
		carry := -(b & 1)
		b = b>>1 ^ carry&crc32.Castagnoli
	}
	return product
}

// joinSums returns the CRC-32C of what has the sum a, followed by n bytes that
// have the sum b: a is moved up by n bytes.
func joinSums(a, b uint32, n int) uint32 {
	for k := 0; n != 0; n, k = n>>1, k+1 {
		if n&1 != 0 {
			a = multiply(byteShifts[k], a)
		}
	}
	return a ^ b
}
