package benchmark

import (
	"encoding/binary"
	"math/rand/v2"
)

// Noise returns n random bytes, fresh each time: they don't compress, not even with
// those of other calls. Many goroutines may call it.
func Noise(n int) []byte {
	b := make([]byte, (n+7)/8*8)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rand.Uint64())
	}
	return b[:n]
}
