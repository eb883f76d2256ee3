package bindings

import "testing"

func TestLimits(t *testing.T) {
	newWorld(t).expect(
		step{"worker.limits()", "[cname_chain] => 5\n[cycle] => 0\n"},
		step{"worker.limits().cname_chain + 1", "6\n"},
		step{"worker.limits('cname_chain')", "a chain was too long\n"},
		step{"worker.limits('chains')", "ERROR …"},
		step{"worker.limits({})", "ERROR …"},
	)
}
