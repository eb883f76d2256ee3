package worker

import (
	"testing"

	"kresd/internal/resolve"
)

// Each part of the configuration that shapes what is learnt, or what requests come
// to, tells groups apart; going back to it brings back what was known. A worker
// without any is in everybody's partition.
func TestPartitionsFollowTheConfiguration(t *testing.T) {
	w := newLawful(t)
	w.configure(`modules.load('hints') hints.root_file() option('ALLOW_LOCAL', false)`)
	if err := w.rules.anchors.useDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := w.partitions(); p != (resolve.Partitions{}) {
		t.Fatalf("the default configuration is in %x", p)
	}
	const ds = `example. 3600 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D`
	seen := map[resolve.Partition]string{0: "the default configuration"}
	for _, c := range []struct {
		on, off string
		data    bool // whether data are apart too
	}{
		{`trust_anchors.add('` + ds + `')`, `trust_anchors.remove('example')`, true},
		{`trust_anchors.set_insecure({'example.com'})`, `trust_anchors.set_insecure({})`, true},
		{`hints.root({['a.example.'] = '192.0.2.1'})`, `hints.root_file()`, true},
		{`hints.root({['a.example.'] = '192.0.2.2'})`, `hints.root_file()`, true},
		{`hints.root({})`, `hints.root_file()`, true},
		{`net.ipv4 = false`, `net.ipv4 = true`, false},
		{`net.ipv6 = false`, `net.ipv6 = true`, false},
		{`net.outgoing_v4('127.0.0.5')`, `net.outgoing_v4(nil)`, false},
		{`net.outgoing_v6('::1')`, `net.outgoing_v6(nil)`, false},
		{`option('TCP', true)`, `option('TCP', false)`, false},
		{`mode('strict')`, `mode('normal')`, false},
		{`hints['a.example'] = '192.0.2.1'`, `hints.del('a.example')`, false},
		{`hints['a.example'] = '192.0.2.2'`, `hints.del('a.example')`, false},
		{`a = policy.add(policy.all(policy.FORWARD('192.0.2.1')))`, `policy.del(a.id)`, false},
		{`a = policy.add(policy.all(policy.FORWARD('192.0.2.2')))`, `policy.del(a.id)`, false},
		{`a = policy.add(policy.all(policy.STUB('192.0.2.1')))`, `policy.del(a.id)`, false},
		{`a = policy.add(policy.suffix(policy.FORWARD('192.0.2.1'), {todname('example.com')}))`, `policy.del(a.id)`, false},
		{`a = policy.add(policy.suffix(policy.PASS, {todname('example.com')})) b = policy.add(policy.all(policy.FORWARD('192.0.2.1')))`,
			`policy.del(a.id) policy.del(b.id)`, false},
		{`b = policy.add(policy.all(policy.FORWARD('192.0.2.1'))) a = policy.add(policy.suffix(policy.FORWARD('192.0.2.2'), {todname('example.com')}))`,
			`policy.del(a.id) policy.del(b.id)`, false},
		{`a = policy.add(policy.suffix(policy.FORWARD('192.0.2.2'), {todname('example.com')})) b = policy.add(policy.all(policy.FORWARD('192.0.2.1')))`,
			`policy.del(a.id) policy.del(b.id)`, false},
	} {
		w.configure(c.on)
		p := w.partitions()
		if before := seen[p.Answers]; before != "" {
			t.Errorf("%s: answers are where those of %s are", c.on, before)
		}
		if (p.Data != 0) != c.data {
			t.Errorf("%s: data are in %x", c.on, p.Data)
		}
		seen[p.Answers] = c.on
		w.configure(c.off)
		if p := w.partitions(); p != (resolve.Partitions{}) {
			t.Errorf("%s, then %s: %x, want everybody's", c.on, c.off, p)
		}
	}
	for _, no := range []string{`option('NO_CACHE', true)`, `reorder_RR(true)`, `policy.add(policy.suffix(policy.DENY, {todname('example.com')}))`} {
		if w.configure(no); w.partitions() != (resolve.Partitions{}) {
			t.Errorf("%s: apart from others without a reason", no)
		}
	}
	if n := testing.AllocsPerRun(100, func() { w.partitions() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
