package trustanchor

import (
	"slices"
	"testing"

	"kresd/internal/dnsname"
)

// Negative anchors are looked up like anchors, end by themselves, and are lifted one
// by one; a snapshot without one of them is that of a worker without it.
func TestNegativeAnchors(t *testing.T) {
	s := New()
	plain := s.Snapshot().Fingerprint()
	a, b := name(t, "a.example"), name(t, "example")
	s.SetNegatives([]Negative{{Name: b, Reason: "broken", Expires: 100}})
	onlyB := s.Snapshot().Fingerprint()
	s.SetNegatives([]Negative{{Name: b, Reason: "broken", Expires: 100}, {Name: a, Trial: true}})
	snap := s.Snapshot()
	for text, want := range map[string]dnsname.Name{"www.a.example": a, "a.example": a, "b.example": b, "example": b} {
		if n := snap.Negative(name(t, text)); n == nil || n.Name != want {
			t.Errorf("%s: %+v, want %s", text, n, want)
		}
	}
	if n := snap.Negative(name(t, "org")); n != nil {
		t.Errorf("org: %+v", n)
	}
	if got := snap.Negatives(); len(got) != 2 || got[0].Name != b || got[0].Reason != "broken" || got[1].Name != a || !got[1].Trial {
		t.Errorf("%+v", got)
	}
	without := snap.Without(a)
	if without.Fingerprint() != onlyB || without.Negative(a).Name != b || snap.Negative(a).Name != a {
		t.Error("a snapshot without an entry is not that of who never had it")
	}
	if gone := s.Expire(99); len(gone) != 0 {
		t.Errorf("%+v ended too early", gone)
	}
	if gone := s.Expire(100); len(gone) != 1 || gone[0].Name != b || s.Snapshot().Negative(b) != nil || s.Snapshot().Negative(a) == nil {
		t.Errorf("ended: %+v; left: %+v", gone, s.Snapshot().Negatives())
	}
	old := s.Snapshot().Negative(a)
	s.SetNegatives([]Negative{{Name: a}})
	if s.Lift(old) {
		t.Error("an entry that was replaced meanwhile took the new one along")
	}
	if n := s.Snapshot().Negative(a); !s.Lift(n) || s.Lift(n) || s.Snapshot().Fingerprint() != plain {
		t.Error("an entry is lifted once, and leaves nothing")
	}
}

// Where a configuration gives no anchors of the root there are the built-in ones, or
// those of a file, or none where it wants none. Equal anchors have equal fingerprints,
// that of the built-in ones is 0.
func TestDefaultAnchors(t *testing.T) {
	for what, tc := range map[string]struct {
		configure func(*Store)
		file      string
		builtin   bool
	}{
		"nothing":           {func(*Store) {}, "", true},
		"a default file":    {func(s *Store) { s.SetDefault("root.keys") }, "root.keys", false},
		"no default file":   {func(s *Store) { s.SetDefault("") }, "", false},
		"removed":           {func(s *Store) { s.Remove("\x00") }, "", false},
		"another removed":   {func(s *Store) { s.Remove(name(t, "example")) }, "", true},
		"anchors":           {func(s *Store) { _ = s.Add(rootDS) }, "", false},
		"anchors elsewhere": {func(s *Store) { _ = s.Add(key) }, "", true},
	} {
		s := New()
		tc.configure(s)
		if file, builtin := s.Default(); file != tc.file || builtin != tc.builtin {
			t.Errorf("%s: %q, %v", what, file, builtin)
		}
	}
	s := New()
	if s.Snapshot().Fingerprint() == 0 {
		t.Error("who trusts nothing shares what those have who trust the built-in keys")
	}
	s.UseBuiltin()
	if s.Snapshot().Fingerprint() != 0 || s.Snapshot().Closest("\x00").Brief() != ". (20326, 38696 built in)" {
		t.Errorf("%x, %s", s.Snapshot().Fingerprint(), s.Snapshot().Closest("\x00").Brief())
	}
	if l, err := s.AddFile(file(t, builtin), true); err != nil || l.Replaced || s.Snapshot().Fingerprint() != 0 {
		t.Errorf("%v, %+v, %x", err, l, s.Snapshot().Fingerprint())
	}
	if l, err := s.AddFile(file(t, rootDS), true); err != nil || !l.Replaced || s.Snapshot().Fingerprint() == 0 {
		t.Errorf("%v, %+v", err, l)
	}
}

func TestSource(t *testing.T) {
	s := New()
	if got := s.Source(); got.URL != IANA || got.CA != "" {
		t.Errorf("%+v", got)
	}
	s.SetSource(func(from *Source) { from.URL, from.CA = "https://a", "b" })
	if got := s.Source(); got.URL != "https://a" || got.CA != "b" {
		t.Errorf("%+v", got)
	}
	s.SetSource(func(from *Source) { from.URL = "" })
	if got := s.Source(); got.URL != IANA {
		t.Errorf("%+v", got)
	}
	s.SetTiming(func(timing *Timing) { timing.KeepRemoved = 3 })
	if got := s.Timing(); got != (Timing{HoldDown: holdDown, KeepRemoved: 3}) {
		t.Errorf("%+v", got)
	}
}

// What is shown of keys: the records and the columns of the manual, the states.
func TestKeysAreShown(t *testing.T) {
	s := New()
	if err := s.Add("example. 165488 IN DS 19036 8 2 49aac11d7b6f6446702e54a1607371607a1a41855200fd2ce1cdde32f24e8fb5"); err != nil {
		t.Fatal(err)
	}
	set := s.Snapshot().Sets[name(t, "example")]
	if got, want := set.Records(), []string{"example. 165488 IN DS 19036 8 2 49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got, want := set.Columns(), []string{"example.                165488  DS      19036 8 2 49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := set.Summary(); got != "example.\n[ ta ] key: 19036 state: Valid (DS)" {
		t.Errorf("%q", got)
	}
	mixed := someKeys(60)
	if len(mixed.Records()) != 2 || len(mixed.Columns()) != 2 {
		t.Errorf("keys that are not trusted are shown: %q", mixed.Records())
	}
}

// What a later state of a file changes is told: a key counts as the same one when it
// takes the place of its digest.
func TestChangesBetweenTwoStates(t *testing.T) {
	old, next := someKeys(0), someKeys(0)
	next.Keys[2].State, next.Keys[3].State = Valid, Removed
	next.Keys[0].RData = dnskey('n', 257)
	next.Keys[0].Tag = tagOf(next.Keys[0].RData)
	got := Changes(old, next)
	want := []Change{{next.Keys[0].Tag, Start, Valid}, {old.Keys[2].Tag, AddPend, Valid}, {old.Keys[3].Tag, Revoked, Removed}, {old.Keys[0].Tag, Valid, Start}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Changes(old, old); len(got) != 0 {
		t.Errorf("%v", got)
	}
	ds, err := ParseRoot(". IN DS " + dsText(dnskey('a', 257)))
	if err != nil {
		t.Fatal(err)
	}
	if got := Changes(ds, &KeySet{Owner: "\x00", Keys: someKeys(0).Keys[:1]}); len(got) != 0 {
		t.Errorf("the key of a digest is told as new: %v", got)
	}
}

// A file is read again for those who follow it; what is no such file changes nothing.
func TestAFileIsReadAgain(t *testing.T) {
	s := New()
	path := file(t, rootDS+"\n")
	l, err := s.AddFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.AddFile(path, false); err != nil || !again.Known || again.Set != l.Set {
		t.Errorf("the same file once more: %v, %+v", err, again)
	}
	if changed, err := s.Reread(l.Set); changed != nil || err != nil {
		t.Errorf("nothing has changed: %v, %v", changed, err)
	}
	write(t, path, builtin)
	changed, err := s.Reread(l.Set)
	if err != nil || changed == nil || s.Snapshot().Sets["\x00"] != changed || !changed.Managed || changed.Trusted() != 2 {
		t.Errorf("%v, %v", changed, err)
	}
	write(t, path, rootDS)
	if late, err := s.Reread(l.Set); late != nil || err != nil || s.Snapshot().Sets["\x00"] != changed {
		t.Errorf("a set that is not in force any more was replaced: %v, %v", late, err)
	}
	for _, text := range []string{key, "", "; nothing\n", rootDS + "\n" + key} {
		write(t, path, text)
		if _, err := s.Reread(changed); err == nil || s.Snapshot().Sets["\x00"] != changed {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Who no longer wants to be told of changes is not.
func TestChangesAreToldUntilCancelled(t *testing.T) {
	s, first, second := New(), 0, 0
	cancel := s.OnChange(func() { first++ })
	s.OnChange(func() { second++ })
	s.UseBuiltin()
	cancel()
	s.Remove("\x00")
	if first != 1 || second != 2 {
		t.Errorf("told %d and %d times", first, second)
	}
}
