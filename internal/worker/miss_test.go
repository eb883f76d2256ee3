package worker

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"kresd/internal/listen"
	"kresd/internal/proctest"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// startWildcard is a server on this machine which answers every question for an address,
// and allocates nothing. It ends with the test.
func startWildcard(t testing.TB) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	address := []byte{0xc0, wire.HeaderLen, 0, byte(wire.TypeA), 0, byte(wire.ClassIN), 0, 0, 1, 44, 0, 4, 192, 0, 2, 1}
	go func() {
		var room [1500]byte
		for {
			_, from, err := conn.ReadFromUDPAddrPort(room[:])
			if err != nil {
				return
			}
			end := wire.HeaderLen
			for room[end] != 0 {
				end += 1 + int(room[end])
			}
			msg := append(room[:end+5], address...)
			msg = wire.AppendOPT(msg, 1232, 0, true, nil)
			binary.BigEndian.PutUint16(msg[2:], wire.FlagQR|wire.FlagAA)
			binary.BigEndian.PutUint16(msg[6:], 1)
			_, _ = conn.WriteToUDPAddrPort(msg, from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// missing asks a worker, over sockets on this machine, for a name that nobody asked for
// before: from the datagram of a client to its answer, with all loaded modules, a delegation
// that is known, one question to its server, and a cache on disk. Client and server allocate
// nothing.
func missing(t testing.TB) (ask func(number int)) {
	server := startWildcard(t)
	w := workerAsking(t, server.Port(), 1<<30)
	w.settings.Change(func(o *resolve.Options) { o.AnyAddress, o.WholeName = true, true })
	zone := &zonecut.Cut{Name: parse(t, "example.com."), Expires: w.clock.Unix() + 86400}
	zone.NS = []zonecut.NameServer{{Name: parse(t, "ns.example.com."), Addrs: []netip.Addr{server.Addr()}}}
	w.cache.Keep(w.dataPartition(), zone, w.clock.Unix())
	client := clientOf(t, w)
	var query, answer [512]byte
	return func(i int) {
		label := fmt.Appendf(query[:wire.HeaderLen+1], "n%08d", i)
		query[wire.HeaderLen] = byte(len(label) - wire.HeaderLen - 1)
		msg := append(label, "\x04wild\x07example\x03com\x00\x00\x01\x00\x01"...)
		copy(msg, []byte{byte(i >> 8), byte(i), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		_ = client.SetDeadline(time.Now().Add(20 * time.Second)) // fails only when it is closed
		if _, err := client.Write(msg); err != nil {
			t.Fatal(err)
		}
		n, err := client.Read(answer[:])
		if err != nil || n < wire.HeaderLen || answer[3]&0xf != wire.RcodeNoError || answer[7] != 1 {
			t.Fatalf("question %d: %v, %x", i, err, answer[:n])
		}
	}
}

// BenchmarkMiss is one such question. The octets and allocations are the figures that a
// busy machine does not move.
func BenchmarkMiss(b *testing.B) {
	ask := missing(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ask(i)
	}
}

// What a miss needs for a moment only is used again. The bound has room for what else goes
// on in a worker; under the race detector pools forget on purpose.
func TestAMissAllocatesLittle(t *testing.T) {
	const most = 30
	bound := float64(most)
	if underRace {
		bound *= 3
	}
	const misses = 1000
	ask := missing(t)
	for i := range misses {
		ask(i)
	}
	least := math.Inf(1)
	for run := 1; run <= 3; run++ { // what else the process allocates meanwhile is counted too
		var before, after runtime.MemStats // testing.AllocsPerRun leaves one processor to client and worker
		runtime.ReadMemStats(&before)
		for i := range misses {
			ask(run*misses + i)
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/misses)
	}
	if least > bound {
		t.Errorf("%v allocations for a miss, want at most %v", least, bound)
	}
}

// clientOf has a worker listen on this machine, and is a client of it.
func clientOf(t testing.TB, w *Worker) *net.UDPConn {
	t.Helper()
	at := proctest.FreePort(t)
	if err := w.server.Listen(at, listen.Flags{Kinds: []transport.Kind{transport.UDP}}); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Open(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
