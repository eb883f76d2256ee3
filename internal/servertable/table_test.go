package servertable

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

func open(t testing.TB, dir string) *Table {
	t.Helper()
	tab, err := Open(dir, clock.Real(), func(line string) { t.Log("warned:", line) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

// address makes the nth of many addresses, IPv4 and IPv6.
func address(n int) Key {
	if n%2 == 0 {
		return Key{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 53)}
	}
	b := [16]byte{0x20, 1, 0xd, 0xb8}
	binary.BigEndian.PutUint32(b[12:], uint32(n))
	return Key{Addr: netip.AddrPortFrom(netip.AddrFrom16(b), 53)}
}

func put(t *testing.T, tab *Table, key Key, priority, data uint64) {
	t.Helper()
	if !tab.Update(key, func(r Record) Record { r.Priority, r.Data[0] = priority, data; return r }) {
		t.Fatalf("%v was not updated", key)
	}
}

func wantData(t *testing.T, tab *Table, key Key, want uint64) {
	t.Helper()
	if r, ok := tab.Load(key); !ok || r.Data[0] != want {
		t.Errorf("%v: got %d, %v; want %d", key, r.Data[0], ok, want)
	}
}

func TestMappingsShareRecords(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	for i := range 100 {
		put(t, a, address(i), 1, uint64(i))
	}
	for i := range 100 {
		wantData(t, b, address(i), uint64(i))
	}
	other := Key{Addr: netip.AddrPortFrom(address(4).Addr.Addr(), 5353)}
	if _, ok := b.Load(other); ok {
		t.Error("another port of the same address is known")
	}
	for _, kind := range []uint32{1, 1 << 31, ^uint32(0)} { // of one address: servers that are spoken to differently
		other := Key{address(4).Addr, kind}
		if _, ok := b.Load(other); ok {
			t.Errorf("kind %d of the same address is known", kind)
		}
		put(t, a, other, 1, uint64(kind))
		wantData(t, b, other, uint64(kind))
		wantData(t, b, address(4), 4)
	}
	seen := map[Key]uint64{}
	b.Each(func(key Key, r Record) bool { seen[key] = r.Data[0]; return true })
	if len(seen) != 103 || seen[Key{address(4).Addr, 1 << 31}] != 1<<31 || seen[address(7)] != 7 || seen[address(8)] != 8 {
		t.Errorf("Each showed %d records, %d and %d", len(seen), seen[address(7)], seen[address(8)])
	}
	b.Clear()
	if _, ok := a.Load(address(1)); ok {
		t.Error("a record outlived Clear")
	}
	put(t, a, address(1), 1, 5)
	wantData(t, b, address(1), 5)
}

func TestRecordsOutliveTheirProcessesMapping(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	put(t, a, address(3), 1, 3)
	wantData(t, open(t, dir), address(3), 3)
	if st, err := os.Stat(filepath.Join(dir, Name)); err != nil || st.Mode() != 0o600 || st.Size() != fileSize {
		t.Errorf("the file: %v, %v", st, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files in the directory", len(left))
	}
}

func TestUpdatesAtOnceAllCount(t *testing.T) {
	dir := t.TempDir()
	tabs := []*Table{open(t, dir), open(t, dir)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	done, longest := uint64(0), time.Duration(0)
	for g := range 4 {
		wg.Go(func() {
			n, slowest := uint64(0), time.Duration(0)
			for range 5000 {
				began := time.Now()
				if tabs[g%2].Update(address(0), func(r Record) Record {
					r.Data[0]++
					r.Data[1] = 3 * r.Data[0]
					return r
				}) {
					n++
				}
				slowest = max(slowest, time.Since(began))
				if r, ok := tabs[1-g%2].Load(address(0)); ok && r.Data[1] != 3*r.Data[0] {
					t.Errorf("half a record: %v", r.Data)
				}
			}
			mu.Lock()
			done, longest = done+n, max(longest, slowest)
			mu.Unlock()
		})
	}
	wg.Wait()
	r, _ := tabs[0].Load(address(0))
	if r.Data[0] > done {
		t.Errorf("%d updates left %d", done, r.Data[0])
	}
	// The turn of one who was not heard of for long is taken over; what he writes
	// when he goes on undoes the work of others, which is the table's way.
	if longest >= limits.ServersStuck {
		t.Logf("somebody was held up for %v: %d of %d updates are left", longest, r.Data[0], done)
	} else if r.Data[0] != done {
		t.Errorf("%d updates left %d", done, r.Data[0])
	}
}

// neighbours are n addresses that have the same places.
func neighbours(tab *Table, n int) (list []Key) {
	first := tab.set(wordsOf(address(0)))
	for i := 0; len(list) < n; i++ {
		if a := address(i); tab.set(wordsOf(a)) == first {
			list = append(list, a)
		}
	}
	return list
}

func TestTheLeastWorthMakesRoom(t *testing.T) {
	tab := open(t, t.TempDir())
	list := neighbours(tab, ways+2)
	for i, a := range list[:ways] {
		put(t, tab, a, uint64(10+(i+3)%ways), uint64(i))
	}
	put(t, tab, list[ways], 50, 0)
	put(t, tab, list[ways+1], 51, 0)
	for i, a := range list[:ways] {
		_, ok := tab.Load(a)
		if gone := (i+3)%ways < 2; ok == gone {
			t.Errorf("record of priority %d: kept %v", 10+(i+3)%ways, ok)
		}
	}
}

func TestBounded(t *testing.T) {
	tab := open(t, t.TempDir())
	for i := range 3 * limits.ServersKept {
		put(t, tab, address(i), uint64(i), uint64(i))
	}
	n := 0
	tab.Each(func(Key, Record) bool { n++; return true })
	if n < limits.ServersKept*9/10 || n > limits.ServersKept {
		t.Errorf("%d records are kept, want nearly %d", n, limits.ServersKept)
	}
	wantData(t, tab, address(3*limits.ServersKept-1), 3*limits.ServersKept-1)
}

func TestATurnThatLastsTooLongIsTakenOver(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	tab, err := Open(t.TempDir(), &ck.Clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	put(t, tab, address(1), 1, 1)
	s, before := choose(tab.set(wordsOf(address(1))), wordsOf(address(1)), tab.epoch.Load())
	s[0].Store(begun(before, ck.Boot())) // and its owner is killed before it wrote
	wantData(t, tab, address(1), 1)
	if tab.Update(address(1), func(r Record) Record { r.Data[0] = 2; return r }) {
		t.Error("two turns at once")
	}
	s[7].Store(12345) // or half way through
	if _, ok := tab.Load(address(1)); ok {
		t.Error("half a record is believed")
	}
	ck.Advance(limits.ServersStuck)
	zero := false
	if !tab.Update(address(1), func(r Record) Record { zero = r == Record{}; r.Data[0] = 2; return r }) || !zero {
		t.Error("a dead owner's turn was not taken over, or half a record used")
	}
	wantData(t, tab, address(1), 2)
	put(t, tab, address(1), 1, 3)
	wantData(t, tab, address(1), 3)
}

// Where others are faster every time, an update is given up, and not its caller.
func TestAnUpdateIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	mine, others := open(t, dir), open(t, dir)
	tries := 0
	if mine.Update(address(1), func(r Record) Record {
		tries++
		put(t, others, address(1), 1, uint64(tries))
		return r
	}) || tries != limits.ServersTries {
		t.Errorf("tried %d times, want %d and no success", tries, limits.ServersTries)
	}
	wantData(t, mine, address(1), uint64(tries))
}

func TestNothingIsAllocated(t *testing.T) {
	tab := open(t, t.TempDir())
	put(t, tab, address(1), 1, 1)
	n := uint64(0)
	if got := testing.AllocsPerRun(100, func() {
		tab.Update(address(1), func(r Record) Record { r.Data[0] = n; return r })
		r, _ := tab.Load(address(1))
		n = r.Data[0] + 1
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkLoad(b *testing.B) {
	tab := open(b, b.TempDir())
	for i := range 5000 {
		tab.Update(address(i), func(r Record) Record { r.Priority = 1; return r })
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tab.Load(address(i % 5000))
	}
}

func BenchmarkUpdate(b *testing.B) {
	tab := open(b, b.TempDir())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tab.Update(address(i%5000), func(r Record) Record { r.Priority++; return r })
	}
}

// The places of a set are used from the first on, whatever happened to those before, so that
// who finds one that was never used need not look behind it.
func TestPlacesAreUsedFromTheFirstOn(t *testing.T) {
	tab := open(t, t.TempDir())
	list := neighbours(tab, 2*ways)
	set := tab.set(wordsOf(list[0]))
	inUse := func() (n int) {
		for i := range set {
			if unused(set[i][0].Load()) {
				break
			}
			n++
		}
		for i := n; i < ways; i++ {
			if !unused(set[i][0].Load()) {
				t.Fatalf("place %d is used, %d is not", i, n)
			}
		}
		return n
	}
	put(t, tab, list[0], 0, 0)
	put(t, tab, list[1], 5, 1)
	if n := inUse(); n != 2 {
		t.Fatalf("%d places for 2 servers", n)
	}
	tab.Clear()
	put(t, tab, list[2], 0, 2)
	if n := inUse(); n != 2 {
		t.Errorf("%d places are used after all was forgotten, want 2 as before", n)
	}
	wantData(t, tab, list[2], 2)
	for i, k := range list {
		put(t, tab, k, uint64(1+i), uint64(i))
		inUse()
		wantData(t, tab, k, uint64(i))
	}
	if n := inUse(); n != ways {
		t.Errorf("%d places are used of a full set", n)
	}
	for i, k := range list[ways+1:] { // those with the greatest priority are left
		wantData(t, tab, k, uint64(ways+1+i))
	}
}
