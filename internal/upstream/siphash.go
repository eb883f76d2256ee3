package upstream

import (
	"encoding/binary"
	"math/bits"
)

// sipKey is the secret of a sipHash: 128 bits.
type sipKey [16]byte

// sipHash is SipHash-2-4 (Aumasson and Bernstein), a keyed hash for short messages: who
// does not know the key can tell nothing of the sum of one message by those of others. It
// is what RFC 9018, section 4.4, makes cookies of. The standard library has no such hash
// that needs no memory.
func sipHash(key *sipKey, message []byte) uint64 {
	s := sipState{
		0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573,
	}
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	s[0], s[1], s[2], s[3] = s[0]^k0, s[1]^k1, s[2]^k0, s[3]^k1
	length := uint64(len(message))
	for ; len(message) >= 8; message = message[8:] {
		s.take(binary.LittleEndian.Uint64(message))
	}
	var rest [8]byte
	copy(rest[:], message)
	s.take(binary.LittleEndian.Uint64(rest[:]) | length<<56)
	s[2] ^= 0xff
	for range 4 {
		s.round()
	}
	return s[0] ^ s[1] ^ s[2] ^ s[3]
}

type sipState [4]uint64

// take mixes one word of the message in.
func (s *sipState) take(word uint64) {
	s[3] ^= word
	s.round()
	s.round()
	s[0] ^= word
}

func (s *sipState) round() {
	s[0] += s[1]
	s[1] = bits.RotateLeft64(s[1], 13) ^ s[0]
	s[0] = bits.RotateLeft64(s[0], 32)
	s[2] += s[3]
	s[3] = bits.RotateLeft64(s[3], 16) ^ s[2]
	s[0] += s[3]
	s[3] = bits.RotateLeft64(s[3], 21) ^ s[0]
	s[2] += s[1]
	s[1] = bits.RotateLeft64(s[1], 17) ^ s[2]
	s[2] = bits.RotateLeft64(s[2], 32)
}
