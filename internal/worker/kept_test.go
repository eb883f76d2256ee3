package worker

import (
	"fmt"
	"runtime"
	"testing"
	"weak"

	"kresd/internal/inforce"
	"kresd/internal/proctest"
)

// A worker that was given what is in force has no use for its text once that has run.
func TestWhatIsInForceLeavesTheMemoryOnceItHasRun(t *testing.T) {
	at := proctest.FreePort(t)
	listen := "net.listen('" + at.Addr().String() + "', " + fmt.Sprint(at.Port()) + ")"
	given := &inforce.Configuration{Files: []string{defaultConfig}, Code: map[string]string{defaultConfig: listen + " mark = 'in force'"}}
	there := weak.Make(given)
	l := begin(t, "error('no')", Options{InForce: given}).running()
	given = nil
	if got := proctest.Eval(t, l.socket, "mark"); got != "in force" {
		t.Errorf("it runs %q", got)
	}
	until(t, "what was in force is no more in memory", func() bool {
		runtime.GC()
		return there.Value() == nil
	})
	l.quit()
}
