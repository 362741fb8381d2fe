package encryption

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
)

// keySize is that of a data key, nonceSize that of a body's nonce, tagSize what
// AES-GCM adds, all in bytes.
const (
	keySize   = 32
	nonceSize = 24
	tagSize   = 16
)

// xaes is XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM with a key of its own for
// each body, derived from the data key and the first half of a nonce of 24 random
// bytes. AES-GCM alone has room for 12 random bytes, and must not seal more than 2³²
// bodies with one key: here nobody needs to count them.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // the subkey K1 of CMAC
}

func newXAES(key [keySize]byte) *xaes {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // it is for the size of a key only
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	msb := byte(0)
	for i := len(x.k1) - 1; i >= 0; i-- {
		msb, x.k1[i] = x.k1[i]>>7, x.k1[i]<<1|msb
	}
	x.k1[len(x.k1)-1] ^= msb * 0x87
	return x
}

// body returns what seals and opens the body with a nonce; it takes the nonce's second
// half.
func (x *xaes) body(nonce []byte) cipher.AEAD {
	var key [keySize]byte
	for i := range 2 {
		half := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(half, []byte{0, byte(i + 1), 'X', 0})
		copy(half[4:], nonce[:nonceSize/2])
		for j := range half {
			half[j] ^= x.k1[j]
		}
		x.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // as above
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // it is for blocks of other sizes
	}
	return aead
}

// seal appends a fresh nonce and the sealed plain bytes to dst, which must not overlap
// them.
func (x *xaes) seal(dst, plain, extra []byte) []byte {
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails: crypto/rand ends the program instead
	return x.sealWith(append(dst, nonce[:]...), nonce[:], plain, extra)
}

func (x *xaes) sealWith(dst, nonce, plain, extra []byte) []byte {
	return x.body(nonce).Seal(dst, nonce[nonceSize/2:], plain, extra)
}

// open appends to dst what was sealed.
func (x *xaes) open(dst, sealed, extra []byte) ([]byte, error) {
	nonce, text := sealed[:nonceSize], sealed[nonceSize:]
	return x.body(nonce).Open(dst, nonce[nonceSize/2:], text, extra)
}
