package attack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// TestA3TwentyThousandIDs has somebody who sees a question try 20,000 IDs at its port and
// then the right one, where the server has no TCP to ask by instead.
func TestA3TwentyThousandIDs(t *testing.T) {
	const tried, questions = 20000, 5
	l := newLab(t, honest(), 1)
	l.ask("warm.wild.example.com.", dns.TypeA)
	h := l.net.Host("127.66.0.4")
	h.WriteTCP(func(net.Conn, []byte) error { return errHangUp })
	var forging, sent atomic.Int64
	h.Play(func(x *authority.Exchange) {
		if x.TCP || !forging.CompareAndSwap(1, 0) { // the attacker sees one port
			return
		}
		for i := range tried {
			x.Ahead = append(x.Ahead, forged(x.Query, func(r *dns.Msg) { r.Id += uint16(i + 1) }))
		}
		x.Ahead = append(x.Ahead, forged(x.Query, nil))
		sent.Add(tried + 1)
	})
	accepted, failed := 0, 0
	for i := range questions {
		forging.Store(1)
		switch got := address(l.ask(fmt.Sprintf("ids%d.wild.example.com.", i), dns.TypeA).r); got {
		case "192.0.2.81":
		case evil:
			accepted++
		default:
			failed++
		}
	}
	tell(t, "A3", "20,000 IDs tried at a question's port, then the right one; no TCP", "0 accepted, all answered", "%d sent, %d accepted, %d of %d questions failed", sent.Load(), accepted, failed, questions)
	if accepted > 0 || failed > 0 || sent.Load() < tried {
		t.Errorf("%d forged answers: %d accepted, %d questions failed", sent.Load(), accepted, failed)
	}
}

// TestD4LockFile overwrites lock.mdb in place while clients ask.
func TestD4LockFile(t *testing.T) {
	const rate, rounds = 2000, 15
	l := newLab(t, honest(), 2)
	l.ask("www.example.com.", dns.TypeA)
	rnd := rand.New(rand.NewPCG(12, 3))
	hits := proctest.Load(t, l.g.Addr, rate, "www.example.com")
	cold := 0
	for round := range rounds {
		f, err := os.OpenFile(filepath.Join(l.g.Dir, "lock.mdb"), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		garbage := make([]byte, 8192)
		for i := range garbage {
			garbage[i] = byte(rnd.Uint32())
		}
		if _, err = f.WriteAt(garbage, 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for i := range 5 { // what is learnt is written
			if address(l.ask(fmt.Sprintf("lock%d-%d.wild.example.com.", round, i), dns.TypeA).r) == "192.0.2.81" {
				cold++
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	r := hits.Stop()
	tell(t, "D4", fmt.Sprintf("lock.mdb overwritten in place %d times under %d questions a second", rounds, rate), "all answered", "%d of %d cached and %d of %d cold ones answered, the slowest after %v",
		r.Answered-r.Failed, r.Sent, cold, 5*rounds, r.Wait(1).Round(time.Millisecond))
	if r.Answered-r.Failed < r.Sent || cold < 5*rounds {
		t.Errorf("%d of %d cached, %d of %d cold questions answered", r.Answered-r.Failed, r.Sent, cold, 5*rounds)
	}
}

// TestE1SilentConsoles takes all places of the console, and more, with clients that say
// nothing, or half a line: the operator gets in.
func TestE1SilentConsoles(t *testing.T) {
	const clients = 40
	l := newLab(t, honest(), 1)
	socket := l.g.Workers()[0].Socket
	for i := range clients {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 1 {
			_, _ = c.Write([]byte("worker."))
		}
	}
	var slowest time.Duration
	for i := range 10 {
		start := time.Now()
		if got := strings.TrimSpace(proctest.Eval(t, socket, fmt.Sprintf("%d + 1", i))); got != fmt.Sprint(i+1) {
			t.Errorf("the operator hears %q", got)
		}
		slowest = max(slowest, time.Since(start))
	}
	tell(t, "E1", fmt.Sprintf("%d consoles that are silent or stop within a line", clients), "the operator is answered", "10 commands, the slowest after %v", slowest.Round(time.Millisecond))
}

// TestC5PortsOfServices asks from ports of services, in whose name somebody may ask so that
// two servers keep each other busy.
func TestC5PortsOfServices(t *testing.T) {
	l := newLab(t, honest(), 1)
	l.ask("www.example.com.", dns.TypeA)
	wire, err := newQuery("www.example.com.").Pack()
	if err != nil {
		t.Fatal(err)
	}
	answered, asked := map[bool]int{}, map[bool]int{}
	for _, port := range []int{7, 19, 53, 123, 1023, 1024, 5353, 0} {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 66, 9, 9), Port: port})
		if err != nil {
			if os.Geteuid() != 0 {
				continue
			}
			t.Fatal(err)
		}
		service := port != 0 && port < 1024
		asked[service]++
		_, _ = c.WriteToUDPAddrPort(wire, l.g.Addr)
		_ = c.SetReadDeadline(time.Now().Add(map[bool]time.Duration{true: 300 * time.Millisecond, false: 5 * time.Second}[service]))
		if n, err := c.Read(make([]byte, 4096)); err == nil && n >= 12 {
			answered[service]++
		}
		c.Close()
	}
	tell(t, "C5", "questions from UDP ports below 1024", "0 answered", "%d of %d answered, from others %d of %d", answered[true], asked[true], answered[false], asked[false])
	if answered[true] > 0 || answered[false] < asked[false] {
		t.Errorf("%d of %d answered, from others %d of %d", answered[true], asked[true], answered[false], asked[false])
	}
}

// TestD10CacheOfOthers starts on a cache that everybody may write to.
func TestD10CacheOfOthers(t *testing.T) {
	refused := 0
	for _, name := range []string{"data.mdb", "lock.mdb"} {
		dir := proctest.RunDir(t)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		at := strings.Replace(proctest.FreePort(t).String(), ":", "@", 1)
		out, err := exec.CommandContext(ctx, proctest.Bin("kresd"), "-f", "1", "-a", at, dir).CombinedOutput()
		ended := ctx.Err() == nil
		cancel()
		if err == nil || !ended || !strings.Contains(string(out), "everybody may write to "+name) {
			t.Errorf("%s of mode 0666: ended by itself %v, %v, said\n%s", name, ended, err, out)
			continue
		}
		refused++
	}
	tell(t, "D10", "cache files of mode 0666", "refused", "%d of 2 refused", refused)
}
