package upstream

import (
	"sync"
	"time"

	"kresd/internal/resolve"
)

// teller lets the goroutines of one exchange tell its steps one at a time, and
// none when it is over: whoever reads along has gone on by then.
type teller struct {
	mu   sync.Mutex
	told func(resolve.Step)
}

// tellTo puts a teller before the reader of x. The function it returns ends the
// story.
func tellTo(x *resolve.Exchange) (end func()) {
	t := &teller{told: x.Tell}
	x.Tell = t.tell
	return t.end
}

func (t *teller) tell(step resolve.Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told != nil {
		t.told(step)
	}
}

func (t *teller) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = nil
}

// change is what differs from the first time that the question was asked.
func (must requirements) change() resolve.RetryChange {
	switch {
	case must.guessedPorts > 0:
		return resolve.RetryOnAnotherPort
	case must.newCookie:
		return resolve.RetryWithNewCookie
	case !must.cookie:
		return resolve.RetryWithoutCookie
	case !must.mixedCase:
		return resolve.RetryWithCaseAsItIs
	}
	return resolve.RetrySame
}

// seen is a match as readers are told it.
func (v match) seen() resolve.Datagram {
	switch v {
	case answer:
		return resolve.DatagramAnswer
	case truncated:
		return resolve.DatagramTruncated
	case nearMiss:
		return resolve.DatagramNearMiss
	case caseLost:
		return resolve.DatagramCaseLost
	case cookieLost:
		return resolve.DatagramCookieLost
	case badCookie:
		return resolve.DatagramBadCookie
	case bareError:
		return resolve.DatagramBareError
	case flooded:
		return resolve.DatagramsUnreadable
	}
	return resolve.DatagramIgnored
}

// tellFirst tells of the datagram that began the confirmation.
func (d *confirmation) tellFirst(v match, must requirements) {
	then := resolve.AsksTCPToo
	if must.udpOnly {
		then = resolve.WaitsForBetter
	}
	d.tellSeen(v, then)
}

// tellGood tells of a datagram that will count.
func (d *confirmation) tellGood(v match) {
	switch {
	case d.x.Tell == nil:
	case d.tcp != nil && v == answer:
		d.tellSeen(v, resolve.TakenIfTCPFails)
	default:
		d.tellSeen(v, resolve.DatagramTaken)
	}
}

func (d *confirmation) tellSeen(v match, then resolve.AfterDatagram) {
	d.x.Tell(resolve.DatagramSeen{What: v.seen(), After: d.e.clock.Mono() - d.a.sent, Then: then})
}

// tellOpened tells over which connection a question goes.
func tellOpened(x *resolve.Exchange, reused bool, took time.Duration) {
	x.Tell(resolve.AskedConnected{By: x.Peer.Protocol(), Reused: reused, Took: took})
}
