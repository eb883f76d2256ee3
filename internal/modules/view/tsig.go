package view

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"maps"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// SetKey says what the secret of a key is from now on, or, with none, that nobody has it any
// more: the key does not become one of which the name alone counts.
func (v *View) SetKey(name dnsname.Name, secret []byte) {
	keys := maps.Clone(*v.keys.Load())
	if _, known := keys[name]; known || len(secret) > 0 {
		keys[name] = secret
	}
	v.keys.Store(&keys)
	v.judge()
}

// algorithm is one of those of RFC 8945, section 6, without MD5; nil: it is none.
func algorithm(name dnsname.Name) func() hash.Hash {
	switch name {
	case "\x09hmac-sha1\x00":
		return sha1.New
	case "\x0bhmac-sha224\x00":
		return sha256.New224
	case "\x0bhmac-sha256\x00":
		return sha256.New
	case "\x0bhmac-sha384\x00":
		return sha512.New384
	case "\x0bhmac-sha512\x00":
		return sha512.New
	}
	return nil
}

// Errors of signatures (RFC 8945, section 3).
const (
	badSig   = 16
	badKey   = 17
	badTime  = 18
	badTrunc = 22
)

// fudge is how many seconds an answer's time may differ from the client's (RFC 8945, section
// 10).
const fudge = 300

// admit judges the signature of a question, if it is one that matters. A wrong one is refused
// (false): the Result says so.
func (v *View) admit(req *resolve.Request) bool {
	if !v.signed.Load() {
		return true
	}
	var q wire.Question
	if q.Parse(req.Message) != wire.Fine || q.TSIG == 0 {
		return true
	}
	t, ok := wire.ParseTSIG(req.Message, q.TSIG)
	if !ok {
		refuse(req, wire.RcodeFormErr)
		return false
	}
	secret, known := (*v.keys.Load())[t.Key]
	if !known {
		req.Key = t.Key
		return true
	}
	seal := &seal{secret: secret, question: t.Mac, answer: wire.TSIG{Key: t.Key, Algorithm: t.Algorithm, Signed: uint64(req.Now), Fudge: fudge, ID: t.ID}}
	if rcode := seal.judge(&t, req.Message); rcode != wire.RcodeNoError {
		if seal.answer.Error != 0 {
			req.Seal = seal
		}
		refuse(req, rcode)
		return false
	}
	req.Key, req.Seal = t.Key, seal
	return true
}

// refuse makes the Result one that nothing is known about.
func refuse(req *resolve.Request, rcode int) {
	req.Result = resolve.Result{Rcode: rcode, EDE: ede.None, NoCache: true}
}

// A seal is a signature to come.
type seal struct {
	secret   []byte
	question []byte // the MAC of the question's
	answer   wire.TSIG
	hash     func() hash.Hash // nil: the answer is not signed, and only tells the error
}

// judge looks at the question's signature, in the order of RFC 8945, section 5.2, and is the
// RCODE that it deserves.
func (s *seal) judge(t *wire.TSIG, msg []byte) int {
	hash := algorithm(t.Algorithm)
	if hash == nil || len(s.secret) == 0 {
		s.answer.Error = badKey
		return wire.RcodeNotAuth
	}
	want := s.mac(hash, t.AppendSigned(nil, msg))
	if len(t.Mac) > len(want) || len(t.Mac) < max(10, len(want)/2) { // section 5.2.2.1
		return wire.RcodeFormErr
	}
	if !hmac.Equal(t.Mac, want[:len(t.Mac)]) {
		s.answer.Error = badSig
		return wire.RcodeNotAuth
	}
	s.hash = hash
	switch now := s.answer.Signed; {
	case now > t.Signed+uint64(t.Fudge) || t.Signed > now+uint64(t.Fudge): // section 5.2.3
		s.answer.Error, s.answer.Signed, s.answer.Fudge = badTime, t.Signed, t.Fudge
		s.answer.Other = []byte{byte(now >> 40), byte(now >> 32), byte(now >> 24), byte(now >> 16), byte(now >> 8), byte(now)}
		return wire.RcodeNotAuth
	case len(t.Mac) < len(want): // long enough to be one, and shorter than anybody makes them
		s.answer.Error = badTrunc
		return wire.RcodeNotAuth
	}
	return wire.RcodeNoError
}

func (s *seal) mac(hash func() hash.Hash, over []byte) []byte {
	h := hmac.New(hash, s.secret)
	h.Write(over)
	return h.Sum(nil)
}

// Len implements resolve.Seal.
func (s *seal) Len() int {
	n := s.answer.Len()
	if s.hash != nil {
		n += s.hash().Size()
	}
	return n
}

// Sign implements resolve.Seal.
func (s *seal) Sign(msg []byte) []byte {
	if s.hash != nil {
		s.answer.Mac = s.mac(s.hash, s.answer.AppendUnsigned(nil, s.question, msg))
	}
	return s.answer.Append(msg)
}
