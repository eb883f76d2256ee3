package explain

import (
	"errors"
	"fmt"
	"time"

	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/wording"
)

// exchanged says the steps of one question to a server.
func exchanged(step resolve.Step) Line {
	switch s := step.(type) {
	case resolve.Asking:
		return Line{"resl", out, asking(s)}
	case resolve.Chosen:
		return Line{"nsre", "", "chosen: " + because(s.Why)}
	case resolve.Left:
		return Line{"nsre", "", "left: " + leftOut(s.Servers)}
	case resolve.Replied:
		return Line{"resl", in, replied(s)}
	case resolve.Silent:
		return Line{"resl", in, silent(s)}
	}
	if text := within(step); text != "" {
		return Line{"resl", "", text}
	}
	return Line{}
}

func asking(s resolve.Asking) string {
	lacks, waiting := "", ""
	if s.How.NoEDNS {
		lacks += ", without EDNS"
	}
	if s.How.NoCase {
		lacks += ", letter case as it is"
	}
	if !s.How.TCP && s.How.Peer.Plain() { // else it takes its own time
		waiting = fmt.Sprintf(", waiting %v", s.Timeout.Round(time.Millisecond))
	}
	return fmt.Sprintf("%s%s%s: %s%s", peer(s.To), by(s.How.Peer.Protocol(), s.How.TCP), lacks, s.Question, waiting)
}

func replied(s resolve.Replied) string {
	m := s.Reply.Msg
	return fmt.Sprintf("answer from %s%s: %s, %d answer, %d authority, %d additional, %d octets in %v", address(s.From.Addr), by(s.From.Peer.Protocol(), s.Reply.TCP),
		wire.RcodeText(m.Rcode), len(m.Answer), len(m.Authority), len(m.Additional), s.Reply.Size, short(s.Reply.RTT))
}

func silent(s resolve.Silent) string {
	from := "nothing from " + address(s.From.Addr) + by(s.From.Peer.Protocol(), s.TCP)
	stranger, known := errors.AsType[*resolve.Unauthenticated](s.Err)
	did, useless := errors.AsType[*resolve.Unusable](s.Err)
	switch {
	case errors.Is(s.Err, resolve.ErrOverdue):
		return from + " yet; a late answer will be taken"
	case errors.Is(s.Err, resolve.ErrTimeout):
		return from + " in time"
	case known:
		return from + ", which is not asked: " + stranger.Why
	case useless:
		return from + ": it " + did.Did
	case errors.Is(s.Err, resolve.ErrUnreachable):
		return from + ": it cannot be reached"
	}
	return fmt.Sprintf("%s: %v", from, wording.Reason(s.Err))
}

// within says what happens between a question and its end.
func within(step resolve.Step) string {
	switch s := step.(type) {
	case resolve.Explored:
		return fmt.Sprintf("besides %s is asked, to learn about it", peer(s.To))
	case resolve.WaitsForLate:
		return "nobody is left to ask, waiting for late answers"
	case resolve.ExchangeJoined:
		return "an equal question is in flight: its answer is waited for"
	case resolve.DatagramSeen:
		return fmt.Sprintf("by UDP %s after %v%s", datagram(s.What), short(s.After), afterDatagram(s.Then))
	case resolve.AskedAgain:
		return "asked again by UDP" + change(s.Change)
	case resolve.AskedConnected:
		if s.Reused {
			return "asked" + by(s.By, true) + ", over an open connection"
		}
		return fmt.Sprintf("asked%s, connected in %v", by(s.By, true), short(s.Took))
	case resolve.ConnectedAgain:
		return connectedAgain(s)
	case resolve.ConnectionFailed:
		return fmt.Sprintf("no answer%s after %v: %v", by(s.By, true), short(s.After), wording.Reason(s.Err))
	case resolve.TCPOverdue:
		return fmt.Sprintf("no answer by TCP within %v", s.Within)
	}
	return ""
}

func connectedAgain(s resolve.ConnectedAgain) string {
	switch s.Why {
	case resolve.NoTurn:
		return "the server takes no further question on the connection" + by(s.By, true) + ": asked on a new one"
	case resolve.NotTaken:
		return "the server did not take the question" + by(s.By, true) + ": asked again"
	}
	return "the connection" + by(s.By, true) + " ended: asked on a new one"
}

func datagram(d resolve.Datagram) string {
	switch d {
	case resolve.DatagramAnswer:
		return "an answer"
	case resolve.DatagramTruncated:
		return "a truncated answer"
	case resolve.DatagramNearMiss:
		return "a message with another ID or question"
	case resolve.DatagramCaseLost:
		return "an answer in another letter case"
	case resolve.DatagramCookieLost:
		return "an answer without our cookie"
	case resolve.DatagramBadCookie:
		return "a new cookie instead of an answer"
	case resolve.DatagramBareError:
		return "an error without a question"
	case resolve.DatagramsUnreadable:
		return "nothing but datagrams that cannot be read"
	}
	return "nothing"
}

func afterDatagram(then resolve.AfterDatagram) string {
	switch then {
	case resolve.AsksTCP:
		return ": asked by TCP"
	case resolve.AsksTCPToo:
		return ": asked by TCP too"
	case resolve.WaitsForBetter:
		return ": waiting for a better one"
	case resolve.TakenIfTCPFails:
		return ": it counts if TCP fails"
	}
	return ""
}

func change(c resolve.RetryChange) string {
	switch c {
	case resolve.RetryWithNewCookie:
		return ", with the server's new cookie"
	case resolve.RetryWithoutCookie:
		return ", whether or not there is a cookie in the answer"
	case resolve.RetryWithCaseAsItIs:
		return ", letter case as it is"
	case resolve.RetryOnAnotherPort:
		return ", from another port: somebody guesses at that one"
	}
	return ""
}
