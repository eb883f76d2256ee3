package listen

import (
	"testing"
	"testing/synctest"
	"time"
)

// A pause ends with what is waited for.
func TestAPauseEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, over := time.Now(), make(chan struct{})
		if sleepUntil(over, time.Second); time.Since(begun) != time.Second {
			t.Errorf("it took %v", time.Since(begun))
		}
		close(over)
		if sleepUntil(over, time.Second); time.Since(begun) != time.Second {
			t.Errorf("it took %v, though nothing is waited for", time.Since(begun)-time.Second)
		}
	})
}
