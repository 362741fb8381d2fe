package simulation

import (
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"
)

// names is the source of all random names in a run, such as those of writers and of
// snapshots. Parts of a process that run at the same instant draw in any order, so what
// one draws rests on who it is and on the instant, and not on what was drawn before.
type names struct {
	seed uint64

	mu    sync.Mutex
	drawn map[[32]byte]uint64 // how often at the same instant
}

// use makes it the source of crypto/rand, until the function that it returns is called.
func (n *names) use() (end func()) {
	before := cryptorand.Reader
	cryptorand.Reader = n
	return func() { cryptorand.Reader = before }
}

// Read implements io.Reader.
func (n *names) Read(b []byte) (int, error) {
	var callers [24]uintptr
	key := sha256.Sum256(fmt.Appendf(nil, "%d %d %s", n.seed, time.Now().UnixNano(), stackOf(callers[:runtime.Callers(2, callers[:])])))
	n.mu.Lock()
	again := n.drawn[key]
	n.drawn[key]++
	n.mu.Unlock()
	binary.BigEndian.PutUint64(key[:], binary.BigEndian.Uint64(key[:])+again)
	return rand.NewChaCha8(key).Read(b)
}

// stackOf is the names of the functions of a stack.
func stackOf(callers []uintptr) string {
	var names strings.Builder
	frames := runtime.CallersFrames(callers)
	for {
		frame, more := frames.Next()
		names.WriteString(frame.Function)
		names.WriteByte(' ')
		if !more {
			return names.String()
		}
	}
}
