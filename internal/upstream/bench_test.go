package upstream

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// echoVar makes the test binary an authority that echoes questions as answers,
// so that the benchmark's CPU time is the client's alone.
const echoVar = "UPSTREAM_BENCH_ECHO"

func TestEchoAuthority(t *testing.T) {
	if os.Getenv(echoVar) == "" {
		return // only the benchmarks' child process
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadBuffer(4 << 20)
	fmt.Println(c.LocalAddr())
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		buf[2] |= 0x80
		_, _ = c.WriteToUDPAddrPort(buf[:n], from)
	}
}

func startEcho(b *testing.B) netip.AddrPort {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestEchoAuthority$")
	cmd.Env = append(os.Environ(), echoVar+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, _, err := bufio.NewReader(out).ReadLine()
	if err != nil {
		b.Fatal(err)
	}
	return netip.MustParseAddrPort(string(line))
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// measure runs one exchange per iteration with some in flight and reports this
// process's CPU time for each.
func measure(b *testing.B, inFlight int, ask func(i int64) error) {
	var n, failed atomic.Int64
	b.SetParallelism(inFlight)
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if ask(n.Add(1)) != nil {
				failed.Add(1)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/1000, "cpu-µs/op")
	if failed.Load() > int64(b.N/100) {
		b.Errorf("%d of %d failed", failed.Load(), b.N)
	}
}

// BenchmarkExchange is one question and answer over UDP, all of it.
func BenchmarkExchange(b *testing.B) {
	to := startEcho(b)
	for _, inFlight := range []int{1, 8, 40} {
		b.Run(fmt.Sprint(inFlight*2), func(b *testing.B) {
			e := newExchanger(b, Config{})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			base := question(b, to, "xxxxxxxx.example.com.")
			measure(b, inFlight, func(i int64) error {
				x := base
				x.Name = base.Name[:1] + dnsname.Name(fmt.Sprintf("%08d", i%1e8)) + base.Name[9:]
				x.Budget = resolve.NewBudget(nil)
				_, err := e.Exchange(ctx, x)
				return err
			})
		})
	}
}

// BenchmarkDial is the same by net.Dial, without any of the checks.
func BenchmarkDial(b *testing.B) {
	to := startEcho(b)
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipMTUDiscover, pmtudiscOmit)
		})
	}}
	name := []byte("\x08xxxxxxxx\x07example\x03com\x00")
	for _, inFlight := range []int{1, 8, 40} {
		b.Run(fmt.Sprint(inFlight*2), func(b *testing.B) {
			measure(b, inFlight, func(int64) error {
				d := d
				var r [2]byte
				_, _ = rand.Read(r[:])
				d.LocalAddr = &net.UDPAddr{Port: int(binary.BigEndian.Uint16(r[:]) | 1024)}
				c, err := d.Dial("udp", to.String())
				if err != nil {
					return err
				}
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				if _, err = c.Write(wire.AppendQuery(nil, 1, 0, name, 1, 1, 1232, true, nil)); err != nil {
					return err
				}
				buf := make([]byte, 1232)
				n, err := c.Read(buf)
				if err == nil {
					_, err = wire.Parse(buf[:n])
				}
				return err
			})
		})
	}
}
