package ipc

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"kresd/internal/limits"
)

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	big := bytes.Repeat([]byte("x"), 3*chunk+7)
	for _, p := range [][]byte{nil, []byte("one"), big} {
		if err := WriteFrame(&b, p, len(big)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]byte{nil, []byte("one"), big} {
		got, err := ReadFrame(&b, len(big))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d octets, %v; want %d", len(got), err, len(want))
		}
	}
	if _, err := ReadFrame(&b, 10); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

func TestFrameLimits(t *testing.T) {
	var b bytes.Buffer
	if err := WriteFrame(&b, []byte("12345"), 4); !errors.Is(err, ErrTooLong) || b.Len() != 0 {
		t.Errorf("writing above the limit: %v, %d octets written", err, b.Len())
	}
	if _, err := ReadFrame(strings.NewReader("\xff\xff\xff\xffx"), 1<<20); !errors.Is(err, ErrTooLong) {
		t.Errorf("reading above the limit: %v", err)
	}
	for _, cut := range []string{"\x00", "\x00\x00\x00\x05", "\x00\x00\x00\x05abc"} {
		if _, err := ReadFrame(strings.NewReader(cut), 10); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v, want an unexpected EOF", cut, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03abc\x00\x00\x00\x00"))
	f.Add([]byte("\x7f\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for {
			before := r.Len()
			p, err := ReadFrame(r, 1000)
			if err != nil {
				return
			}
			if len(p) > 1000 || before-r.Len() != 4+len(p) {
				t.Fatalf("frame of %d octets took %d from the stream", len(p), before-r.Len())
			}
			var again bytes.Buffer
			if WriteFrame(&again, p, 1000) != nil || !bytes.HasSuffix(in[:len(in)-r.Len()], again.Bytes()) {
				t.Fatal("a frame that was read is not written the same way")
			}
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"kind":"roster","members":[{"id":0,"pid":17}]}`))
	f.Add([]byte(`{"kind":"fatal","line":"config:1: x"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := DecodeMessage(in)
		if err == nil && m.Kind == "" {
			t.Fatal("a message without a kind was accepted")
		}
	})
}

// linked gives the two ends of a group of two: a supervisor's Conn and the
// Link of worker 1.
func linked(t *testing.T) (*Conn, *Link) {
	t.Helper()
	sup, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := fromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	link, err := newLink(conn, 1, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sup, link
}

func TestLinkSpeaksToTheSupervisor(t *testing.T) {
	sup, link := linked(t)
	if link.ID() != 1 || link.Count() != 2 {
		t.Errorf("worker %d of %d, want 1 of 2", link.ID(), link.Count())
	}
	link.CacheDir("/c")
	link.Ready()
	if !link.Fatal("config:1: bad\nworse\n") {
		t.Error("Fatal says that nobody took it")
	}
	link.Stopping()
	var got []Message
	for range 5 {
		m, err := sup.Receive()
		if err != nil {
			t.Fatal(err)
		}
		m.PID = 0
		got = append(got, m)
	}
	want := []Message{{Kind: Hello}, {Kind: Cache, Dir: "/c"}, {Kind: Ready},
		{Kind: Fatal, Line: "config:1: bad; worse"}, {Kind: Stopping}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("supervisor got %+v, want %+v", got, want)
	}
}

func TestLinkHearsTheSupervisor(t *testing.T) {
	sup, link := linked(t)
	for i := range 3 {
		if err := sup.Send(Message{Kind: Roster, Members: []Member{{0, 100 + i}}}); err != nil {
			t.Fatal(err)
		}
	}
	sup.Send(Message{Kind: "of a later version"})
	sup.Send(Message{Kind: Drain})
	sup.Send(Message{Kind: Drain})
	<-link.Drain() // what was sent before has been seen
	if got := <-link.Roster(); !reflect.DeepEqual(got, []Member{{0, 102}}) {
		t.Errorf("roster %v, want the newest", got)
	}
	select {
	case <-link.Closed():
		t.Error("closed while the supervisor lives")
	default:
	}
	sup.Close()
	<-link.Closed()
	if link.Fatal("x") {
		t.Error("Fatal says that a dead supervisor took it")
	}
}

func TestSendToAProcessThatDoesNotRead(t *testing.T) {
	sup, _, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", limits.IPCFrame/2)
	for range 100 {
		if err := sup.Send(Message{Kind: Fatal, Line: line}); err != nil {
			return // gave up instead of waiting for ever
		}
	}
	t.Error("50 MiB fit into a socket that nobody reads")
}

func TestNilLinkIsAProcessOnItsOwn(t *testing.T) {
	var l *Link
	l.Ready()
	l.CacheDir("x")
	if l.Fatal("x") || l.ID() != 0 || l.Count() != 1 || l.Suspect() != nil {
		t.Error("a nil link has a supervisor")
	}
	if l.Roster() != nil || l.Drain() != nil || l.Closed() != nil || l.Give() != nil || l.Secret() != nil || l.Entrusted() != nil || l.Reloads() != nil || len(l.Passed()) != 0 {
		t.Error("a nil link has a message")
	}
}

func TestEnvironment(t *testing.T) {
	for in, want := range map[string]bool{"0/1": true, "3/4": true, "4/4": false, "-1/4": false, "x/4": false, "0/x": false, "0/0": false, "x": false, "1/": false, "": false} {
		if _, _, err := parseWorker(in); (err == nil) != want {
			t.Errorf("parseWorker(%q): %v", in, err)
		}
	}
	if got := parseSuspect("2:/a:b"); got == nil || *got != (Suspect{"/a:b", 2}) {
		t.Errorf("parseSuspect: %v", got)
	}
	if parseSuspect("") != nil || parseSuspect("x:/a") != nil || parseSuspect("1:") != nil {
		t.Error("parseSuspect accepts nonsense")
	}
	if l, err := FromEnv(); l != nil || err != nil {
		t.Errorf("FromEnv without a supervisor: %v, %v", l, err)
	}
}
