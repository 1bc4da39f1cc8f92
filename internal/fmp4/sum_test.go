package fmp4

import (
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

func TestJoinedSumsAreTheSumOfTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Byte(), 0, 70_000).Draw(t, "b")
		want := crc32.Checksum(append(a[:len(a):len(a)], b...), castagnoli)
		if got := joinSums(crc32.Checksum(a, castagnoli), crc32.Checksum(b, castagnoli), len(b)); got != want {
			t.Fatalf("joined %08x, want %08x", got, want)
		}
	})
}
