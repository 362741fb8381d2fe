package encryption

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors of c2sp.org/XAES-256-GCM: one for each value of the bit that decides how
// the subkey is made.
func TestXAESVectors(t *testing.T) {
	for _, v := range []struct {
		key               byte
		extra, ciphertext string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x := newXAES([keySize]byte(bytes.Repeat([]byte{v.key}, keySize)))
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		sealed := x.sealWith(nil, nonce, []byte("XAES-256-GCM"), []byte(v.extra))
		if got := hex.EncodeToString(sealed); got != v.ciphertext {
			t.Errorf("key %d: %s, want %s", v.key, got, v.ciphertext)
		}
		if plain, err := x.open(nil, append(nonce, sealed...), []byte(v.extra)); err != nil || string(plain) != "XAES-256-GCM" {
			t.Errorf("key %d: opened %q, %v", v.key, plain, err)
		}
	}
}

func TestNoncesAreNeverEqual(t *testing.T) {
	x, seen := newXAES([keySize]byte{1}), map[string]bool{}
	for range 10_000 {
		sealed := x.seal(nil, []byte("the same"), nil)
		if nonce := string(sealed[:nonceSize]); seen[nonce] {
			t.Fatalf("nonce %x again", nonce)
		} else {
			seen[nonce] = true
		}
	}
}
