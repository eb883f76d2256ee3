package resolve_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/authority"
	"kresd/internal/limits"
)

const slowAnswer = "NOERROR; www.example.com. A 192.0.2.10"

// A server that suddenly took more than about a second was given up within three,
// and the client told SERVFAIL, though it had ten and every question was answered.
func TestServersThatBecomeSlowAreWaitedFor(t *testing.T) {
	for _, delay := range []time.Duration{1300 * time.Millisecond, 2500 * time.Millisecond, limits.LateAnswer} {
		for _, warm := range []bool{true, false} {
			t.Run(fmt.Sprint(delay, " warm ", warm), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nold.example.com. A 192.0.2.11\n")))
					if warm {
						w.ask("old.example.com.", "A")
					} else {
						w.ask("example.net.", "A")
					}
					w.asked()
					w.net.Host("192.0.2.1").Play(authority.Delay(delay))
					start := time.Now()
					got := w.ask("www.example.com.", "A")
					took := time.Since(start)
					if got != slowAnswer {
						t.Errorf("got %s after %v", got, took)
					}
					if took > delay+100*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					if sent := w.asked(); len(sent) > 3+limits.RetriesPerServer {
						t.Errorf("sent: %q", sent)
					}
					// What was learnt: it is slow, not dead.
					if got := w.ask("old.example.com.", "A"); got != "NOERROR; old.example.com. A 192.0.2.11" {
						t.Errorf("the next question: %s", got)
					}
				})
			})
		}
	}
}

// An answer that is late wins over another try that is slower still, and ends it.
func TestALateAnswerEndsLaterTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := "example.com. NS a.example.com.\nexample.com. NS b.example.com.\na.example.com. A 192.0.2.1\nb.example.com. A 192.0.2.2\n"
		w := newWorld(t, basic(zones{"com.": two, "example.com.": two + "www.example.com. A 192.0.2.10\n"}))
		w.net.Host("192.0.2.1").Play(authority.Delay(600 * time.Millisecond))
		w.net.Host("192.0.2.2").Play(authority.Delay(600 * time.Millisecond))
		start := time.Now()
		got := w.ask("www.example.com.", "A")
		if took := time.Since(start); got != slowAnswer || took > 700*time.Millisecond {
			t.Errorf("got %s after %v", got, took)
		}
	})
}

// A zone whose server had answered and fell silent cost its clients all of their
// ten seconds, and a place each.
func TestAServerThatFallsSilentIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("*.example.com. A 192.0.2.10\n")))
		w.ask("a.example.com.", "A")
		w.net.Host("192.0.2.1").Play(authority.Drop())
		for i, most := range []time.Duration{limits.LateAnswer + 2*time.Second, limits.LateAnswer + 2*time.Second, limits.UDPMaxTimeout} {
			start := time.Now()
			if got := w.ask(fmt.Sprintf("n%d.example.com.", i), "A"); got != "SERVFAIL" || time.Since(start) > most {
				t.Errorf("question %d: %s after %v, want at most %v", i+1, got, time.Since(start), most)
			}
		}
	})
}

// Silence is not waited out for longer than there is hope, and places are given
// back.
func TestDeadZonesFailInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		w.net.Host("192.0.2.1").Play(authority.Drop())
		for i, most := range []time.Duration{limits.LateAnswer + 3*time.Second, limits.LateAnswer + 3*time.Second, 3 * time.Second} {
			start := time.Now()
			r := w.request(fmt.Sprintf("n%d.example.com.", i), "A")
			w.driver.Resolve(t.Context(), r)
			if took := time.Since(start); took > most || r.Result.EDE != 22 || !strings.Contains(r.Result.EDEText, "example.com.") {
				t.Errorf("question %d: EDE %d %q after %v, want 22 within %v", i, r.Result.EDE, r.Result.EDEText, took, most)
			}
		}
	})
}

// The late answer to a minimised question ended the wait for that to the whole one,
// and no try was left to ask it again: names below a slow server's zone failed.
func TestSlowServersAnswerWholeNames(t *testing.T) {
	const www = "www.a.example.com. A 192.0.2.10\nold.example.com. A 192.0.2.11\n"
	const two = "example.com. NS a.example.com.\nexample.com. NS b.example.com.\na.example.com. A 192.0.2.1\nb.example.com. A 192.0.2.2\n"
	for _, tt := range []struct {
		servers []string
		zones   zones
		delay   time.Duration
	}{
		{[]string{"192.0.2.1"}, example(www), 1300 * time.Millisecond},
		{[]string{"192.0.2.1"}, example(www), 4 * time.Second},
		{[]string{"192.0.2.1", "192.0.2.2"}, zones{"com.": two, "example.com.": two + www}, 5 * time.Second},
	} {
		t.Run(fmt.Sprint(len(tt.servers), " ", tt.delay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(tt.zones))
				w.noTCP = true
				for range 8 { // until all servers are known
					w.ask("old.example.com.", "A")
				}
				w.asked()
				for _, server := range tt.servers {
					w.net.Host(server).Play(authority.Delay(tt.delay))
				}
				if got := w.ask("www.a.example.com.", "A"); got != "NOERROR; www.a.example.com. A 192.0.2.10" {
					t.Errorf("got %s", got)
				}
				if sent := w.asked(); len(sent) > 10 {
					t.Errorf("sent: %q", sent)
				}
			})
		})
	}
}
