package freeport

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The kernel gives ports of its range to connections that go out: one of them had taken
// the port of a server that was to be started.
func TestPortsAreNotTheKernels(t *testing.T) {
	first, last := ephemeral()
	for range 50 {
		c := choose(t)
		if p := int(c.Port); p >= first && p <= last {
			t.Errorf("port %d is one of the kernel's, from %d to %d", p, first, last)
		}
	}
}

func TestOutside(t *testing.T) {
	for _, tt := range []struct{ first, last, from, end int }{
		{32768, 60999, 20000, 30000}, // by default
		{21000, 60999, 20000, 21000},
		{20500, 60999, 61000, 65536},
		{1024, 65535, 20000, 30000}, // there is no other
		{1024, 24999, 25000, 30000},
		{1024, 19999, 20000, 30000},
		{1024, 9999, 20000, 30000},
	} {
		if from, end := outside(tt.first, tt.last); from != tt.from || end != tt.end {
			t.Errorf("outside of %d to %d: from %d below %d, want from %d below %d", tt.first, tt.last, from, end, tt.from, tt.end)
		}
	}
}

// Neither this process nor one beside it gets a port that is claimed.
func TestAPortIsClaimedOnce(t *testing.T) {
	if port := os.Getenv("FREEPORT_CLAIM"); port != "" {
		p, _ := strconv.ParseUint(port, 10, 16)
		if c, err := claim(uint16(p)); err == nil {
			c.Release()
			os.Exit(0)
		}
		os.Exit(3)
	}
	c := choose(t)
	claimed := func() bool {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestAPortIsClaimedOnce$")
		cmd.Env = append(os.Environ(), "FREEPORT_CLAIM="+strconv.Itoa(int(c.Port)))
		err := cmd.Run()
		if e, ok := err.(*exec.ExitError); err != nil && (!ok || e.ExitCode() != 3) {
			t.Fatal(err)
		}
		return err != nil
	}
	if !claimed() {
		t.Error("another process may claim a port that is claimed")
	}
	if _, err := claim(c.Port); err == nil {
		t.Error("this process may claim a port that it has claimed")
	}
	c.Release()
	if claimed() {
		t.Error("a port that was released is still claimed")
	}
}

// A port is free at all addresses, for UDP and for TCP, or it is not free.
func TestFree(t *testing.T) {
	c := choose(t)
	if !free(c.Port) {
		t.Fatalf("port %d is not free after it was chosen", c.Port)
	}
	for _, addr := range []string{"127.0.0.1", "127.1.2.3", "0.0.0.0", "::1"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(addr), c.Port)
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			if strings.Contains(addr, ":") {
				t.Logf("not tried at %s: %v", addr, err)
				continue
			}
			t.Fatal(err)
		}
		if free(c.Port) {
			t.Errorf("a UDP socket at %s, and its port is free", addr)
		}
		udp.Close()
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		if free(c.Port) {
			t.Errorf("a TCP socket at %s, and its port is free", addr)
		}
		tcp.Close()
	}
}

func choose(t *testing.T) *Claim {
	t.Helper()
	c, err := Choose()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return c
}
