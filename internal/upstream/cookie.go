package upstream

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/dchest/siphash"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// DNS cookies (RFC 7873). Every question with EDNS carries a client cookie, which
// nobody off the path can know; a server that knows cookies repeats it and adds its
// own. From then on, an answer over UDP from there without ours is none. Servers
// that know nothing of cookies leave the option out, and are believed as before.
//
// There are firewalls that drop questions with an option that they do not know (RFC 6891,
// section 6.1.2, has servers ignore it). A server that has shown no cookies and leaves a
// question unanswered is asked again without one; when that helps several times on end, it
// gets none for a while.
//
// Each worker has a secret and a store of server cookies of its own: what a server
// gave goes with the client cookie that it was sent, and learning it costs no
// question.

// clientCookie is ours for one server (RFC 7873, section 4.1).
type clientCookie [8]byte

// maxServerCookie is the longest a server may give (RFC 7873, section 4).
const maxServerCookie = 32

// cookieRule is what the answer to a question has to do with cookies.
type cookieRule uint8

const (
	cookieNone    cookieRule = iota // no cookie was sent
	cookieAsked                     // the server may know cookies or not
	cookieMust                      // it does
	cookieWaived                    // it did; TCP did not help, so it need not
	cookieLeftOut                   // none was sent, for the server left a question with one unanswered
	cookieTCP                       // nobody off the path can forge the answer
)

// sent tells whether the question has a cookie.
func (r cookieRule) sent() bool { return r != cookieNone && r != cookieLeftOut }

// A cookieSecret is the key of SipHash-2-4, the keyed hash that RFC 9018, section 4.4, makes
// cookies of.
type cookieSecret [16]byte

// hash is the sum of a message, in the octets' order of the RFC.
func (s *cookieSecret) hash(message []byte) (sum clientCookie) {
	k0, k1 := binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:])
	binary.LittleEndian.PutUint64(sum[:], siphash.Hash(k0, k1, message))
	return sum
}

// cookieStore keeps the secret that client cookies are made of, and the server
// cookies that servers gave.
type cookieStore struct {
	clock *clock.Clock

	mu     sync.Mutex
	secret cookieSecret
	over   time.Duration // when there has to be a new secret
	known  map[netip.AddrPort]serverCookie
}

// serverCookie is what a server gave for our cookie. An empty one stands for a
// server that wants none, until then, or may drop questions with one (doubts).
type serverCookie struct {
	n uint8
	// doubts are how many questions were answered without a cookie only.
	doubts uint8
	data   [maxServerCookie]byte
	until  time.Duration
}

func newCookieStore(c *clock.Clock) *cookieStore {
	return &cookieStore{clock: c, known: map[netip.AddrPort]serverCookie{}}
}

// look returns the secret and what is known of a server. A new secret makes what
// servers gave for the old one worthless (RFC 7873, section 7.1).
func (j *cookieStore) look(to netip.AddrPort) (secret cookieSecret, s serverCookie, known bool) {
	now := j.clock.Mono()
	j.mu.Lock()
	defer j.mu.Unlock()
	if now >= j.over {
		_, _ = rand.Read(j.secret[:]) // never fails
		j.over = now + limits.CookieSecretLife
		clear(j.known)
	}
	s, known = j.known[to]
	if known && s.n == 0 && now >= s.until {
		delete(j.known, to)
		s, known = serverCookie{}, false
	}
	return j.secret, s, known
}

// bare tells that the server gets no cookies.
func (s *serverCookie) bare() bool {
	return s.n == 0 && (s.doubts == 0 || s.doubts >= limits.AbilitySigns)
}

// option appends the option for a question to a server, and notes in w what the answer has
// to show. x says whether the server has left the question unanswered, or is to get no
// cookie. Our cookie depends on both addresses, so that it tells nobody that two sources are
// one resolver.
func (j *cookieStore) option(dst []byte, w *expectation, x *resolve.Exchange, source netip.Addr) []byte {
	to := x.Addr
	secret, s, known := j.look(to)
	switch w.doubted = s.doubts > 0; {
	case known && s.bare(), x.NoCookie && s.n == 0:
		w.cookies = cookieNone
		return dst
	case x.Again && s.n == 0:
		w.cookies = cookieLeftOut
		return dst
	}
	w.cookie = makeCookie(&secret, to, source)
	w.cookies = cookieAsked
	if s.n > 0 {
		w.cookies = cookieMust
	}
	dst = binary.BigEndian.AppendUint16(dst, wire.OptionCookie)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(w.cookie))+uint16(s.n))
	dst = append(dst, w.cookie[:]...)
	return append(dst, s.data[:s.n]...)
}

// makeCookie is a keyed hash of both addresses (RFC 7873, section 4.1).
func makeCookie(secret *cookieSecret, to netip.AddrPort, source netip.Addr) clientCookie {
	var b [16 + 2 + 16]byte
	server, client := to.Addr().As16(), source.As16()
	copy(b[:], server[:])
	binary.BigEndian.PutUint16(b[16:], to.Port())
	copy(b[18:], client[:])
	return secret.hash(b[:])
}

// judge looks for our cookie in an answer that matches otherwise, and learns what
// the server gave.
func (j *cookieStore) judge(from netip.AddrPort, w *expectation, msg *wire.Msg) match {
	switch w.cookies {
	case cookieNone:
		return answer
	case cookieLeftOut:
		j.doubt(from)
		return answer
	}
	client, server, has := cookieOf(msg.Options)
	ours := has && client == w.cookie
	switch {
	case ours && len(server) > 0:
		j.keep(from, server)
		if msg.Rcode == wire.RcodeBadCookie && w.cookies != cookieTCP {
			return badCookie
		}
	case ours && w.doubted: // the server knows cookies, though it gives none
		j.forget(from)
	case ours:
	case w.cookies == cookieMust, has && w.cookies == cookieAsked: // RFC 7873, section 5.3
		return cookieLost
	case has: // another's, and what else would help was tried
		j.leaveAlone(from)
	case w.cookies != cookieAsked:
		j.forget(from)
	case msg.Rcode == wire.RcodeFormErr:
		j.leaveAlone(from)
	case w.doubted:
		j.forget(from)
	}
	return answer
}

// cookieOf finds the cookies in a list of options that is known to be well formed.
// One of a length that there is not is none (RFC 7873, section 4).
func cookieOf(options []byte) (client clientCookie, server []byte, has bool) {
	data, has := wire.Option(options, wire.OptionCookie)
	if l := len(data); l != len(client) && (l < len(client)+8 || l > len(client)+maxServerCookie) {
		return client, nil, false
	}
	return clientCookie(data), data[len(client):], has
}

// keep keeps what a server gave. Where there are too many, some other is asked as
// if it were new.
func (j *cookieStore) keep(from netip.AddrPort, server []byte) {
	s := serverCookie{n: uint8(len(server))}
	copy(s.data[:], server)
	j.set(from, s)
}

// leaveAlone keeps cookies from a server that does not get on with them.
func (j *cookieStore) leaveAlone(from netip.AddrPort) {
	j.set(from, serverCookie{until: j.clock.Mono() + limits.AbilityLife})
}

// doubt notes that a server answered a question without a cookie, which it had left
// unanswered with one.
func (j *cookieStore) doubt(from netip.AddrPort) {
	_, s, _ := j.look(from)
	if s.n == 0 {
		j.set(from, serverCookie{doubts: min(s.doubts, limits.AbilitySigns) + 1, until: j.clock.Mono() + limits.AbilityLife})
	}
}

func (j *cookieStore) set(from netip.AddrPort, s serverCookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, has := j.known[from]; !has && len(j.known) >= limits.CookiesKept {
		for other := range j.known {
			delete(j.known, other)
			break
		}
	}
	j.known[from] = s
}

// forget makes a server one of which nothing is known.
func (j *cookieStore) forget(from netip.AddrPort) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.known, from)
}

// cookieRoom is enough for the option.
const cookieRoom = 4 + 8 + maxServerCookie

// appendCookie appends the cookie option of a question with these requirements, and
// notes in w what the answer has to show. Cookies are for plain DNS: every other
// protocol proves more than they do.
func (e *Exchanger) appendCookie(dst []byte, w *expectation, x *resolve.Exchange, must requirements) []byte {
	w.cookies = cookieNone
	if x.NoEDNS || !x.Peer.Plain() {
		return dst
	}
	dst = e.cookies.option(dst, w, x, e.source(x.Addr.Addr()))
	if !must.cookie && w.cookies.sent() {
		w.cookies = cookieWaived
	}
	return dst
}
