package explain

import (
	"net/netip"
	"testing"
	"time"

	"kresd/internal/selection"
)

func TestWhyAServerWasChosen(t *testing.T) {
	for want, why := range map[string]selection.Reason{
		"asked again":                                 {},
		"the only one":                                {Ground: selection.OnlyServer, Of: 1},
		"the only one that is left":                   {Ground: selection.OnlyLeft, Of: 1},
		"the best that is left":                       {Ground: selection.BestLeft, Of: 1},
		"it was silent lately and is tried once more": {Ground: selection.SilentTried, Of: 1},
		"one of 3 of which nothing is known":          {Ground: selection.NothingKnown, Of: 3},
		"not the fastest of 2, to learn about it; it is expected in 300ms": {Ground: selection.ToLearn, Of: 2, Known: true, Expected: 300 * time.Millisecond},
		"the fastest of 2; it is expected in 10.01ms":                      {Ground: selection.Fastest, Of: 2, Known: true, Expected: 10*time.Millisecond + 9*time.Microsecond},
		"the only one, by TCP since nothing came by UDP":                   {Ground: selection.OnlyServer, Of: 1, Resort: true},
		"the only one, by TCP to learn whether it knows EDNS":              {Ground: selection.OnlyServer, Of: 1, Confirm: true},
	} {
		if got := because(why); got != want {
			t.Errorf("%+v: %q, want %q", why, got, want)
		}
	}
}

func TestServersThatWereLeft(t *testing.T) {
	var servers []selection.LeftOut
	for i, f := range []selection.Fault{selection.FailedQuery, selection.UselessInZone, selection.FamilyBroken, selection.IsSilent} {
		servers = append(servers, selection.LeftOut{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Fault: f})
	}
	want := "192.0.2.0 failed this question several times, 192.0.2.1 is of no use for the zone, 192.0.2.2 is of a family that does not work here, 192.0.2.3 is silent"
	if got := leftOut(servers); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := leftOut(append(servers, servers[:2]...)); got != want+", 2 more" {
		t.Errorf("got %q", got)
	}
}
