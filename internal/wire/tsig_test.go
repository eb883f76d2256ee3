package wire

import (
	"bytes"
	"testing"
)

// withTSIG is a question with a signature.
func withTSIG() []byte {
	msg := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01")
	t := TSIG{Key: "\x01k\x00", Algorithm: "\x0bhmac-sha256\x00", Signed: 1 << 33, Fudge: 300, Mac: []byte("0123456789abcdef"), ID: 0x4321, Error: 18, Other: []byte("later!")}
	return t.Append(msg)
}

// What is written is read again, and every part of a signature that is missing or too long is
// noticed.
func TestTSIG(t *testing.T) {
	msg := withTSIG()
	var q Question
	if q.Parse(msg) != Fine || q.TSIG != q.End {
		t.Fatalf("the signature begins at %d, want %d", q.TSIG, q.End)
	}
	got, ok := ParseTSIG(msg, q.TSIG)
	if !ok || got.Key != "\x01k\x00" || got.Signed != 1<<33 || got.Fudge != 300 || string(got.Mac) != "0123456789abcdef" || got.ID != 0x4321 || got.Error != 18 || string(got.Other) != "later!" {
		t.Fatalf("%+v, %v", got, ok)
	}
	if n := len(msg) - q.TSIG; got.Len() != n {
		t.Errorf("length %d, want %d", got.Len(), n)
	}
	if over := got.AppendSigned(nil, msg); !bytes.HasPrefix(over, []byte("\x43\x21\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www")) {
		t.Errorf("signed is %x", over)
	}
	for n := q.TSIG; n < len(msg); n++ {
		if _, ok := ParseTSIG(msg[:n], q.TSIG); ok {
			t.Errorf("%d octets of %d are taken for a signature", n, len(msg))
		}
	}
	if _, ok := ParseTSIG(append(msg, 0), q.TSIG); ok {
		t.Error("a signature with octets behind it is taken")
	}
}

// FuzzTSIG: whatever stands at the end of a message is a signature that is written as it was
// read, or none.
func FuzzTSIG(f *testing.F) {
	f.Add(withTSIG())
	f.Add(append(withTSIG(), 0))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var q Question
		if q.Parse(msg) != Fine || q.TSIG == 0 {
			return
		}
		s, ok := ParseTSIG(msg, q.TSIG)
		if !ok {
			return
		}
		before := append([]byte(nil), msg[:q.TSIG]...)
		before[11]--
		again := s.Append(before)
		two, ok := ParseTSIG(again, q.TSIG)
		if !ok || two.Key != s.Key || two.Algorithm != s.Algorithm || !bytes.Equal(two.AppendSigned(nil, again), s.AppendSigned(nil, msg)) {
			t.Errorf("%+v is read as %+v", s, two)
		}
	})
}
