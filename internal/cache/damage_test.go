package cache

import (
	"strings"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// filled is a world with an entry of each kind, and questions for them.
func filled(t *testing.T) (*world, []resolve.Question) {
	w := newWorld(t)
	a := sign(rrset(t, secure, "www.example.", wire.TypeA, 600, "\x01\x02\x03\x04", "\x01\x02\x03\x05"), 2)
	qs := []resolve.Question{
		question(t, "www.example.", wire.TypeA), question(t, "no.example.", wire.TypeA),
		question(t, "www.example.", wire.TypeMX), question(t, "fail.example.", wire.TypeA),
	}
	w.learn(qs[0], positive(a))
	w.learn(qs[1], denial(resolve.NXDomain, soa(t, secure, "example.", 60, 60)))
	w.learn(qs[2], denial(resolve.NoData, soa(t, secure, "example.", 60, 60)))
	w.answered(qs[3], resolve.Result{Rcode: wire.RcodeServFail, EDE: 22, NoCache: true})
	w.answered(qs[0], resultOf(secure, a), withDO)
	c := cut(t, "example.", w.now()+100)
	ds := sign(rrset(t, secure, "example.", wire.TypeDS, 100, "\x00\x01\x0d\x02digest"), 1)
	c.DS, c.DSRank = &ds.RRset, secure
	w.Keep(c, w.now())
	return w, qs
}

// readAll reads every entry of the Store in every way and tells what was found.
func (w *world) readAll(qs []resolve.Question) (found int) {
	w.cuts.forgetAll()
	for _, q := range qs {
		if w.peek(q).Kind != resolve.Pending {
			found++
		}
		req := w.request(q)
		if w.fails(req) {
			found++
		}
		if _, ok := w.ask(q, client{size: 1232, do: true}); ok {
			found++
		}
	}
	if w.Closest(qs[0].Name, w.now()) != nil {
		found++
	}
	return found
}

// Every octet of every entry matters: flip one, and the entry is not there.
func TestEveryFlippedOctetIsAMiss(t *testing.T) {
	w, qs := filled(t)
	whole := w.readAll(qs)
	if whole != 6 {
		t.Fatalf("%d things found, want 6", whole)
	}
	for _, key := range w.mem.keys() {
		good := string(w.mem.m[key])
		for i := range good {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				bad := []byte(good)
				bad[i] ^= mask
				w.mem.m[key] = bad
				before := w.Stats().Damaged
				if got := w.readAll(qs); got != whole-1 {
					t.Fatalf("%q octet %d ^ %02x: %d things found, want %d", key, i, mask, got, whole-1)
				}
				if _, there := w.mem.m[key]; there || w.Stats().Damaged == before {
					t.Fatalf("%q octet %d ^ %02x: deleted %v, counted %d", key, i, mask, !there, w.Stats().Damaged-before)
				}
			}
		}
		for cutOff := range good {
			w.mem.m[key] = []byte(good[:cutOff])
			if got := w.readAll(qs); got != whole-1 {
				t.Fatalf("%q cut off at %d: %d things found", key, cutOff, got)
			}
		}
		w.mem.m[key] = []byte(good)
	}
}

// An entry that a damaged tree presents under another name is no answer.
func TestEntriesUnderOthersKeys(t *testing.T) {
	w, qs := filled(t)
	keys := w.mem.keys()
	orig := map[string][]byte{}
	for _, k := range keys {
		orig[k] = w.mem.m[k]
	}
	for shift := 1; shift < len(keys); shift++ {
		for i, k := range keys {
			w.mem.m[k] = orig[keys[(i+shift)%len(keys)]]
		}
		if got := w.readAll(qs); got != 0 {
			t.Errorf("shifted by %d: %d things found", shift, got)
		}
	}
}

func TestEntriesOfAnotherSchema(t *testing.T) {
	w, qs := filled(t)
	for k, v := range w.mem.m {
		v[2]++
		sealAgain([]byte(k), v)
	}
	if got := w.readAll(qs); got != 0 {
		t.Errorf("%d things found", got)
	}
}

// Entries that bear a right checksum, but say what their keys contradict: the
// work of somebody who may write to the file.
func TestForgedEntries(t *testing.T) {
	w, qs := filled(t)
	q := qs[0]
	key := string(node{0, q.Name}.answer(q.Type, q.Class, variant(true, false)))
	answer := w.mem.m[key]
	answer[12] = byte(bogus)
	sealAgain([]byte(key), answer)
	if _, ok := w.ask(q, client{size: 1232, do: true}); ok {
		t.Error("CD=0 reads a bogus answer")
	}
	for what, s := range map[string]resolve.Set{
		"owner": rrset(t, secure, "evil.example.", wire.TypeA, 60, "\x06\x06\x06\x06"),
		"type":  rrset(t, secure, "www.example.", wire.TypeAAAA, 60, "\x06\x06\x06\x06"),
	} {
		key := node{0, q.Name}.rrset(q.Type, q.Class)
		h := header{kind: kindRRset, rank: secure, made: w.now(), ttl: 60}
		w.mem.m[string(key)] = seal(key, appendSets(newEntry(h, 0), []resolve.Set{s}))
		if o := w.peek(q); o.Kind != resolve.Pending {
			t.Errorf("another %s: %+v", what, o)
		}
		if _, there := w.mem.m[string(key)]; there {
			t.Errorf("another %s: it is left", what)
		}
	}
}

func sealAgain(key, entry []byte) { seal(key, entry) }

// FuzzEntries: entries that bear a right checksum but hold anything at all. They
// may be believed, but nothing panics and every answer is a message.
func FuzzEntries(f *testing.F) {
	w, qs := filled(&testing.T{})
	keys := w.mem.keys()
	for i, k := range keys {
		f.Add(uint8(i), w.mem.m[k])
	}
	f.Fuzz(func(t *testing.T, which uint8, entry []byte) {
		if len(entry) < headerLen {
			return
		}
		key := keys[int(which)%len(keys)]
		seal([]byte(key), entry)
		w := newWorld(t)
		w.mem.m[key] = entry
		for _, q := range qs {
			w.peek(q)
			w.Addrs(q.Name, w.now())
			w.layer.Begin(w.request(q))
			out, ok := w.fast(client{size: 1232, do: true}.parse(t, string(q.Name), q.Type), transport.UDP)
			if ok && (len(out) < wire.HeaderLen || len(out) > 1232) {
				t.Errorf("%d octets", len(out))
			}
			w.Worth([]byte(key), entry)
		}
		w.Closest(qs[0].Name, w.now())
		w.ClosestApex(0, qs[0].Name, w.now())
	})
}

func (w *world) Worth(key, val []byte) { Worth(key, val, w.now()) }

func FuzzWorth(f *testing.F) {
	f.Add([]byte("\x00R"), []byte{})
	f.Fuzz(func(t *testing.T, key, val []byte) { Worth(key, val, 1_700_000_000) })
}

// A name that is none leaves nothing to be believed behind it.
func TestAMalformedNameInAnEntry(t *testing.T) {
	for _, b := range []string{"", "\x03ww", "\xc0\x0c", "\x40" + strings.Repeat("w", 64) + "\x00"} {
		if c := (cursor{b: []byte(b)}); c.name() != "" || !c.bad {
			t.Errorf("%q is read as a name", b)
		}
	}
}
