package listen

import (
	"bytes"
	"testing"
)

func TestFrames(t *testing.T) {
	long := bytes.Repeat([]byte{7}, maxMessage)
	stream := appendFrame(appendFrame(appendFrame(nil, []byte("one")), nil), long)
	for cut := range 12 {
		if cut < 5 {
			if _, rest, ok := nextFrame(stream[:cut]); ok || len(rest) != cut {
				t.Errorf("a frame out of %d octets", cut)
			}
		}
	}
	for _, want := range [][]byte{[]byte("one"), {}, long} {
		msg, rest, ok := nextFrame(stream)
		if !ok || !bytes.Equal(msg, want) {
			t.Fatalf("got %d octets, %v, want %d", len(msg), ok, len(want))
		}
		stream = rest
	}
	if len(stream) != 0 {
		t.Errorf("%d octets remain", len(stream))
	}
	if got := appendFrame(nil, make([]byte, maxMessage+1)); got != nil {
		t.Errorf("a message that does not fit was framed in %d octets", len(got))
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 3, 'o', 'n', 'e', 0, 0, 0xff})
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		var again []byte
		rest := stream
		for {
			msg, next, ok := nextFrame(rest)
			if !ok {
				if len(rest) >= 2 && frameLen(rest) <= len(rest) {
					t.Fatalf("a complete frame of %d octets was not split off %d", frameLen(rest), len(rest))
				}
				break
			}
			if len(msg) != cap(msg) {
				t.Fatal("a message could be appended to over the next")
			}
			again, rest = appendFrame(again, msg), next
		}
		if !bytes.Equal(append(again, rest...), stream) {
			t.Fatal("frames and rest are not the stream")
		}
	})
}
