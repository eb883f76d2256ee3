package attack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// processorTime is what a process's threads have used.
func processorTime(t *testing.T, pid int) (sum time.Duration) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("the threads of %d cannot be seen: %v", pid, err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// TestB3CostlyAnswers sends each of the message bombs to the real worker, as the answer of
// a server to a question whose name is as long as theirs, and looks at the processor time
// that the worker takes for all that follows from it, for each time that it was sent: some
// are asked for again. A question with an ordinary answer by TCP is taken off.
func TestB3CostlyAnswers(t *testing.T) {
	zs := honest()
	evilZone(zs, "e.com.", "127.66.1.1", "*.e.com. A 192.0.2.99\n")
	l := newLab(t, zs, 1)
	var pkt atomic.Pointer[[]byte]
	var sent atomic.Int64 // costly messages
	h := l.net.Host("127.66.1.1")
	h.Play(func(x *authority.Exchange) {
		if !x.TCP {
			authority.Truncate()(x)
		}
	})
	h.WriteTCP(func(c net.Conn, framed []byte) error {
		if b := pkt.Load(); b != nil {
			sent.Add(1)
			msg := bytes.Clone(*b)
			copy(msg, framed[2:4])
			copy(msg[12:25], framed[14:27]) // as the question spells it
			framed = append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
		}
		_, err := c.Write(framed)
		return err
	})
	asked := 0
	most := onThisMachine(t, 3*time.Millisecond)
	// cost is that of one message beyond the ordinary one of its question, the best of several
	// tries unless one is within enough: what the collector of garbage does is not always this
	// message's.
	cost := func(ordinary, enough time.Duration) time.Duration {
		const questions = 5
		best := time.Hour
		for try := 0; try < 1 || try < 5 && best > enough; try++ {
			l.settle()
			before := processorTime(t, l.g.PID())
			sent.Store(0)
			var all sync.WaitGroup
			for range questions {
				asked++
				q := proctest.Query(fmt.Sprintf("%05d.e.com.", asked), dns.TypeA, 1232)
				all.Go(func() { _, _ = exchange(l.g.Addr, q, 12*time.Second) })
			}
			all.Wait()
			l.settle()
			used := processorTime(t, l.g.PID()) - before - questions*ordinary
			best = min(best, used/time.Duration(max(sent.Load(), questions)))
		}
		return best
	}
	ordinary := cost(0, 0)
	var worst time.Duration
	what := ""
	for _, b := range append(bombs(), bulky()...) {
		pkt.Store(&b.pkt)
		got := cost(ordinary, most)
		if got > worst {
			worst, what = got, b.what
		}
		t.Logf("%.2f ms: %s, %d octets", float64(got)/1e6, b.what, len(b.pkt))
	}
	tell(t, "B3", "36 costly messages as answers by TCP, all of a worker's doing", fmt.Sprintf("<= %.1f ms", float64(most)/1e6), "at most %.2f ms more than an ordinary answer, which takes %.2f ms (%s)", float64(worst)/1e6, float64(ordinary)/1e6, what)
	if worst > most {
		t.Errorf("%v for %s", worst, what)
	}
}

// bulky are answers that are believed and kept: large, and dear to be put into replies.
func bulky() (all []bomb) {
	add := func(what string, pkt []byte) { all = append(all, bomb{what, pkt}) }
	const question = 12
	label := func(i int) string { return fmt.Sprintf("\x05%05d", i) }
	add("an A set of 4,090 records", filled(65535, func(i, _ int) []byte {
		return record(pointer(question), 1, string([]byte{1, 2, byte(i >> 8), byte(i)}))
	}))
	add("an alias of an alias, and so on", chained(func(i int) string { return label(i) + "\x01e\x03com\x00" }))
	add("the same, in a circle", filled(65535, func(i, _ int) []byte { return record(pointer(question), 5, pointer(question)) }))
	add("a referral to 2,000 names with addresses", referral(2000, true))
	add("a referral to 3,500 names without", referral(3500, false))
	add("RRSIGs over one A", filled(65535, func(i, _ int) []byte {
		if i == 0 {
			return record(pointer(question), 1, "abcd")
		}
		return record(pointer(question), 46, "\x00\x01\x0d\x03\x00\x00\x0e\x10\x7f\xff\xff\xff\x00\x00\x00\x01"+string([]byte{byte(i >> 8), byte(i)})+"\x01e\x03com\x00"+strings.Repeat("s", 64))
	}))
	return all
}

// chained is a chain of aliases in one message.
func chained(name func(int) string) []byte {
	return filled(65535, func(i, _ int) []byte {
		owner := name(i)
		if i == 0 {
			owner = pointer(12)
		}
		return record(owner, 5, name(i+1))
	})
}

// referral is a delegation of the question's name to so many name servers, all at the
// address that says so.
func referral(n int, glue bool) []byte {
	name := func(i int) string { return fmt.Sprintf("\x05%05d", i) + pointer(12) }
	b := header(0, 0, 0)
	b[2] = 0x80
	count := func(at int, fill func(i int) []byte) {
		k := 0
		for ; k < n; k++ {
			r := fill(k)
			if len(b)+len(r) > 0xffff {
				break
			}
			b = append(b, r...)
		}
		binary.BigEndian.PutUint16(b[at:], uint16(k))
	}
	count(8, func(i int) []byte { return record(pointer(12), 2, name(i)) })
	if glue {
		count(10, func(i int) []byte { return record(name(i), 1, string([]byte{127, 66, 1, 1})) })
	}
	return b
}
