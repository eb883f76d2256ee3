package reply

import (
	"fmt"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// A Room that nobody uses keeps what most answers need, and not the memory of a large one.
func TestARoomForgetsTheMemoryOfLargeAnswers(t *testing.T) {
	name := dnsname.Name("\x01a\x00")
	worded := func(octets int) *Room {
		room := new(Room)
		var data []string
		for len(data)*256 < octets {
			data = append(data, fmt.Sprintf("\xff%03d%s", len(data), strings.Repeat("x", 252)))
		}
		q := &wire.Question{Name: []byte(name), Type: wire.TypeTXT, Class: wire.ClassIN}
		asked := resolve.Question{Name: name, Type: wire.TypeTXT, Class: wire.ClassIN}
		res := result(set(string(name), wire.TypeTXT, 60, data...))
		if room.Build(asked, q, res, Shape{Kind: transport.TCP}) == nil {
			t.Fatal("no answer")
		}
		return room
	}
	var rooms Rooms
	small, large := worded(300), worded(50_000)
	if cap(large.octets) < 50_000 || cap(large.message) < 50_000 {
		t.Fatalf("%d and %d octets of memory for a large answer", cap(large.octets), cap(large.message))
	}
	rooms.Put(large)
	if most := max(cap(large.octets), cap(large.message), cap(large.ttls)); most > roomKept {
		t.Errorf("%d octets are kept", most)
	}
	rooms.Put(small)
	if small.octets == nil || small.message == nil {
		t.Error("nothing of a small answer's memory is kept")
	}
}
