package upstream

import (
	"crypto/x509"
	"testing"
	"time"

	"kresd/internal/zonecut"
)

// Without a name or a pin nobody is the right one, unless that is what was asked for.
func TestAServerOfWhichNothingIsKnownIsNotTrusted(t *testing.T) {
	shown := []*x509.Certificate{{}}
	if why := (&authenticator{}).proof(&zonecut.PeerConfig{Protocol: zonecut.DoT}, shown, time.Now()); why == "" {
		t.Error("it is trusted")
	}
	if why := (&authenticator{}).proof(&zonecut.PeerConfig{Protocol: zonecut.DoT, Insecure: true}, shown, time.Now()); why != "" {
		t.Errorf("taken insecurely: %s", why)
	}
}
