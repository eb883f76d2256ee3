package view

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

const (
	secret = "YSBzZWNyZXQgb2YgdGVzdHM="
	other  = "bm90IHRoZSBzYW1lIHNlY3JldA=="
	now    = 1_700_000_000
)

// signed is a question that another implementation has signed, and its MAC.
func signed(t *testing.T, key, algorithm, secret string, at int64) (msg []byte, mac string) {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.example.", dns.TypeA)
	m.SetEdns0(1232, true)
	m.SetTsig(key, algorithm, 300, at)
	msg, mac, err := dns.TsigGenerate(m, secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return msg, mac
}

// withKeys is a View that knows a secret.
func withKeys(t *testing.T) *View {
	t.Helper()
	v, n := New(func() int { return 0 }), 0
	v.nextID = func() int { n++; return n }
	octets, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	v.SetKey("\x04test\x00", octets)
	return v
}

func requestOf(msg []byte) *resolve.Request {
	return &resolve.Request{Message: msg, Now: now, Result: resolve.Result{EDE: ede.None}}
}

// A right signature is recognized whatever the algorithm, and the answer's is one that the
// client's implementation takes.
func TestRightSignatures(t *testing.T) {
	for _, algorithm := range []string{dns.HmacSHA1, dns.HmacSHA224, dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512} {
		at := time.Now().Unix() // the other implementation knows no other time
		msg, mac := signed(t, "Test.", algorithm, secret, at)
		req := requestOf(msg)
		req.Now = at + 299
		if !withKeys(t).admit(req) || req.Key != "\x04test\x00" || req.Seal == nil {
			t.Fatalf("%s: key %q, seal %v, %+v", algorithm, req.Key, req.Seal, req.Result)
		}
		answer := new(dns.Msg)
		if err := answer.Unpack(msg); err != nil {
			t.Fatal(err)
		}
		answer.Response, answer.Extra = true, nil
		packed, err := answer.Pack()
		if err != nil {
			t.Fatal(err)
		}
		whole := req.Seal.Sign(packed)
		if len(whole) > len(packed)+req.Seal.Len() {
			t.Errorf("%s: %d octets behind the answer, foreseen were %d", algorithm, len(whole)-len(packed), req.Seal.Len())
		}
		if err := dns.TsigVerify(whole, secret, mac, false); err != nil {
			t.Errorf("%s: the answer's signature: %v", algorithm, err)
		}
	}
}

// What is wrong with a signature is told as RFC 8945, section 5.2 has it.
func TestWrongSignatures(t *testing.T) {
	good, _ := signed(t, "test.", dns.HmacSHA256, secret, now)
	forged, _ := signed(t, "test.", dns.HmacSHA256, other, now)
	late, _ := signed(t, "test.", dns.HmacSHA256, secret, now-301)
	early, _ := signed(t, "test.", dns.HmacSHA256, secret, now+301)
	changed := bytes.Replace(good, []byte("www"), []byte("wvw"), 1)
	renamed := bytes.Replace(good, []byte("\x0bhmac-sha256"), []byte("\x0bhmac-sha257"), 1)
	mac := bytes.Index(good, []byte("\x01\x2c\x00\x20")) + 3 // behind the fudge: the length of the MAC
	truncated := func(n int) []byte {
		msg := append(append([]byte(nil), good[:mac+1+n]...), good[mac+1+32:]...)
		msg[mac] = byte(n)
		rdlength := bytes.Index(msg, []byte("\x00\xfa\x00\xff")) + 9
		msg[rdlength] -= byte(32 - n)
		return msg
	}
	for name, c := range map[string]struct {
		msg          []byte
		rcode, error int
		signed       bool
	}{
		"another secret":               {forged, wire.RcodeNotAuth, badSig, false},
		"another question":             {changed, wire.RcodeNotAuth, badSig, false},
		"an unknown algorithm":         {renamed, wire.RcodeNotAuth, badKey, false},
		"too late":                     {late, wire.RcodeNotAuth, badTime, true},
		"too early":                    {early, wire.RcodeNotAuth, badTime, true},
		"a part of the signature":      {truncated(16), wire.RcodeNotAuth, badTrunc, true},
		"too small a part":             {truncated(15), wire.RcodeFormErr, 0, false},
		"none of it":                   {truncated(0), wire.RcodeFormErr, 0, false},
		"a class that signatures lack": {bytes.Replace(good, []byte("\x00\xfa\x00\xff"), []byte("\x00\xfa\x00\x01"), 1), wire.RcodeFormErr, 0, false},
	} {
		req := requestOf(c.msg)
		if withKeys(t).admit(req) || req.Result.Rcode != c.rcode || req.Key != "" {
			t.Errorf("%s: %+v", name, req.Result)
			continue
		}
		if req.Seal == nil {
			if c.error != 0 {
				t.Errorf("%s: no error is told", name)
			}
			continue
		}
		s := req.Seal.(*seal)
		if int(s.answer.Error) != c.error || (s.hash != nil) != c.signed {
			t.Errorf("%s: error %d, signed %v; want %d, %v", name, s.answer.Error, s.hash != nil, c.error, c.signed)
		}
		if whole := s.Sign(make([]byte, wire.HeaderLen)); len(whole) > wire.HeaderLen+s.Len() {
			t.Errorf("%s: longer than foreseen", name)
		}
	}
}

// Of a key whose secret is not known the name counts; where no rule and no key is, nothing
// is looked at.
func TestKeysWithoutASecret(t *testing.T) {
	msg, _ := signed(t, "other.", dns.HmacSHA256, other, now)
	req := requestOf(msg)
	if !withKeys(t).admit(req) || req.Key != "\x05other\x00" || req.Seal != nil {
		t.Errorf("key %q, %+v", req.Key, req.Result)
	}
	v := New(func() int { return 0 })
	v.SetKey("\x04test\x00", nil)
	if req = requestOf(msg); !v.admit(req) || req.Key != "" {
		t.Errorf("without keys: %q", req.Key)
	}
}

// When the secret of a key was forgotten, the name of the key was enough for everybody.
func TestAKeyWhoseSecretWasForgottenIsNobodys(t *testing.T) {
	v := withKeys(t)
	v.SetKey("\x04test\x00", nil)
	for _, with := range []string{secret, other} {
		msg, _ := signed(t, "test.", dns.HmacSHA256, with, now)
		req := requestOf(msg)
		if v.admit(req) || req.Key != "" || req.Result.Rcode != wire.RcodeNotAuth || req.Seal == nil {
			t.Fatalf("key %q, %+v", req.Key, req.Result)
		}
		if s := req.Seal.(*seal); s.answer.Error != badKey || s.hash != nil {
			t.Errorf("error %d, signed %v", s.answer.Error, s.hash != nil)
		}
	}
	octets, _ := base64.StdEncoding.DecodeString(secret)
	v.SetKey("\x04test\x00", octets)
	msg, _ := signed(t, "test.", dns.HmacSHA256, secret, now)
	if req := requestOf(msg); !v.admit(req) || req.Key == "" {
		t.Errorf("told anew: %+v", req.Result)
	}
}

// A forwarder that gave the question another ID made the answer's signature wrong.
func TestASignatureIsOverTheOriginalID(t *testing.T) {
	msg, mac := signed(t, "test.", dns.HmacSHA256, secret, time.Now().Unix())
	id := msg[0]
	msg[0] ^= 0x55 // by the forwarder
	req := requestOf(msg)
	req.Now = time.Now().Unix()
	if !withKeys(t).admit(req) || req.Seal == nil {
		t.Fatalf("the question: %+v", req.Result)
	}
	answer := append([]byte(nil), msg[:wire.HeaderLen]...)
	answer[2] |= 0x80
	copy(answer[4:], make([]byte, 8)) // no records
	whole := req.Seal.Sign(answer)
	if whole[0] != msg[0] {
		t.Errorf("the answer has not the ID of the question: %x", whole[:2])
	}
	whole[0] = id // by the forwarder again
	if err := dns.TsigVerify(whole, secret, mac, false); err != nil {
		t.Error(err)
	}
}
