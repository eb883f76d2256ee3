package bindings

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func (p *fakeProcess) Alive(context.Context) error { return p.dead }

func (p *fakeProcess) Upstreams(n int) (list []Upstream) {
	list = append(list,
		Upstream{Addr: "192.0.2.1@53", RTT: 12345 * time.Microsecond, EDNS: true, Case: true, Age: 1500 * time.Millisecond},
		Upstream{Addr: "2001:db8::1@5300", Timeouts: 3, Dead: true, NeedsTCP: true, Until: map[string]time.Duration{"tcp": 90 * time.Second, "dead": 2500 * time.Millisecond, "edns": -time.Second}})
	for len(list) < n {
		list = append(list, Upstream{Addr: fmt.Sprintf("198.51.100.%d@53", len(list))})
	}
	return list[:n]
}

func TestUpstreams(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"worker.upstreams(1)", "[192.0.2.1@53] => {\n    [0x20] => true\n    [age] => 1.5\n    [dead] => false\n    [edns] => true\n    [no_tcp] => false\n    [rtt] => 12.345\n    [tcp] => false\n    [timeouts] => 0\n    [tls] => false\n}\n"},
		step{"worker.upstreams(2)['2001:db8::1@5300'].rtt", "nil\n"},
		step{"worker.upstreams(2)['2001:db8::1@5300'].dead", "true\n"},
		step{"worker.upstreams(2)['2001:db8::1@5300'].tcp", "true\n"},
		step{"worker.upstreams(2)['2001:db8::1@5300']['until']", "[dead] => 2.5\n[tcp] => 90\n"},
		step{"worker.upstreams('many')", "ERROR …"},
		step{"worker.upstreams(-1)", "ERROR …"},
	)
	count := func(command string) int { return strings.Count(w.eval(command), "@") }
	if n := count("worker.upstreams()"); n != 100 {
		t.Errorf("%d servers are shown, want 100", n)
	}
	if n := count("worker.upstreams(1e9)"); n != 512 {
		t.Errorf("%d servers are shown at most, want 512", n)
	}
}

func TestAlive(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"worker.alive()", "true\n"})
	w.process.dead = errors.New("nobody answers")
	w.expect(step{"select(2, worker.alive())", "nobody answers\n"}, step{"(worker.alive())", "false\n"})
}
