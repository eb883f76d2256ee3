package listen

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"kresd/internal/doh"
	"kresd/internal/h2"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// An http2Request is a request by HTTP/2, from its head until its response is sent.
//
// It does not end when its client gives it up while it is on the driver's way: what was begun
// there goes on, and as long it counts as one of the connection's requests. So a client
// gets no more work done by resetting streams than by waiting for them (CVE-2023-44487).
type http2Request struct {
	c      *http2Conn
	stream *h2.Stream
	query  httpQuestion
	body   *doh.Body // that is awaited; nil: none is
	whole  bool      // all of the request has come
	// refused is why there is no answer, where the client is told when all of its request has
	// come; nil: it is not.
	refused *doh.Refusal

	placed bool // it has one of limits.HTTPRequests

	// Fields under the connection's lock.
	driven bool      // it is on the driver's way
	over   bool      // it has ended
	due    time.Time // when the client has to have done its part; zero: it has none to do
}

// begin takes a request of which the head has come.
func (c *http2Conn) begin(ev *h2.Event) {
	c.http.begin()
	c.conn.outstanding.Add(1)
	s := ev.Stream
	r := &http2Request{c: c, stream: s, whole: ev.End}
	s.Owner = r
	if s.TooLarge {
		r.refuse(doh.HeadTooLong())
		return
	}
	path, parameters, _ := strings.Cut(s.Path, "?")
	if strings.Contains(path, "%") {
		path, _ = url.PathUnescape(path) // what cannot be is no path of ours
	}
	inBody, no := doh.Check(doh.Head{Method: s.Method, Path: path, ContentType: s.ContentType, Length: s.Length}, *c.s.http.paths.Load())
	switch {
	case no != nil:
	case inBody:
		if no = r.awaitBody(ev); no == nil {
			return
		}
	default:
		r.query.msg, no = doh.Parameter(parameters)
	}
	r.asks(no)
}

// awaitBody makes the request wait for its body. Until that is there it has a place of
// another kind than questions that are worked on have: bodies that never come are in nobody's
// way but that of bodies.
func (r *http2Request) awaitBody(ev *h2.Event) *doh.Refusal {
	c := r.c
	if !c.s.http.bodies.Take(c.http.share) {
		return c.http.noPlace()
	}
	r.body = &doh.Body{More: func() ([]byte, *doh.Refusal) { return c.http.largeRoom(&r.query) }}
	if ev.End {
		r.more(ev)
		return nil
	}
	r.setDue(limits.HTTPRequestTime)
	if r.stream.Continue {
		c.say(func(out []byte) []byte { return c.h2.Continue(out, r.stream) })
	}
	return nil
}

// more takes a part of the body. One that nobody awaits is passed over.
func (r *http2Request) more(ev *h2.Event) {
	r.whole = ev.End
	if r.body == nil {
		if r.whole && r.refused != nil {
			r.refuse(r.refused)
		}
		return
	}
	r.c.http.stream.octets.Add(-int64(len(ev.Data)))
	no := r.body.Add(ev.Data)
	if no == nil && !ev.End {
		return
	}
	if no == nil {
		r.query.msg, no = r.body.Message()
	}
	r.c.mu.Lock()
	r.endBody()
	r.c.mu.Unlock()
	r.asks(no)
}

// endBody ends the waiting for a body. The lock is held.
func (r *http2Request) endBody() {
	r.clearDue()
	if r.body != nil {
		r.body = nil
		r.c.s.http.bodies.Give(r.c.http.share)
	}
}

// asks answers the request, whose question is there, or refuses it.
func (r *http2Request) asks(no *doh.Refusal) {
	c := r.c
	if no == nil {
		if r.placed = c.s.http.places.Take(c.http.share); !r.placed {
			no = c.http.noPlace()
		}
	}
	switch {
	case no == nil:
	case r.whole || no.TooLong || r.stream.Length > limits.HTTPBuffer: // which does not come whole
		r.refuse(no)
		return
	default: // clients often take a response for a failure that comes before they have said all
		r.refused = no
		r.setDue(limits.HTTPUnwanted)
		return
	}
	answered := false
	handling, err := c.http.askSession(r.query.msg, func(msg []byte) {
		if answered = len(msg) > 0; answered {
			r.send(msg)
		}
	})
	switch {
	case answered:
	case err != nil || handling == Driver:
		r.drive(err == nil)
	default:
		c.s.tcp.dropped.Add(1)
		c.say(func(out []byte) []byte { return c.h2.Reset(out, r.stream, h2.InternalError) })
	}
}

// drive sends the question the driver's way; one that may not go there, or finds no place, is
// answered SERVFAIL.
func (r *http2Request) drive(may bool) {
	c := r.c
	c.mu.Lock()
	r.driven = true
	c.mu.Unlock()
	q := newQuery(r.query.msg, &c.http.client, r)
	if may {
		q.Headers = r.headers()
	}
	c.http.release(&r.query) // for others: the answer may take long
	r.query, r.stream.Request = httpQuestion{}, h2.Request{Method: r.stream.Method, Length: r.stream.Length}
	if !may || !c.s.dispatch(q) {
		c.s.failOne(q)
	}
}

// answer implements answerPath. It waits while the client does not read.
func (r *http2Request) answer(_ *Query, msg []byte) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roomLocked()
	r.driven = false
	switch out := c.bufferLocked(); {
	case r.stream.Closed():
		c.h2.Abandoned--
		r.done()
	case out == nil:
		r.done()
	case len(msg) == 0:
		*out = c.h2.Reset(*out, r.stream, h2.InternalError)
	default:
		r.sendLocked(msg)
	}
	c.flushLocked()
}

// send words the response with an answer, to be sent by the next flush.
func (r *http2Request) send(msg []byte) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.sendLocked(msg)
}

func (r *http2Request) sendLocked(msg []byte) {
	fields := answerFields(msg)
	r.respondLocked(http.StatusOK, append(fields[:], r.c.s.http.dateField(r.c.s.clock.Now())), msg)
}

// refuse words a response that says why there is no answer.
func (r *http2Request) refuse(no *doh.Refusal) {
	fields := append(r.c.http.refusal(no), h2.Field{Name: "content-type", Value: "text/plain; charset=utf-8"}, r.c.s.http.dateField(r.c.s.clock.Now()))
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.respondLocked(no.Status, fields, []byte(no.Error()+"\n"))
}

func (r *http2Request) respondLocked(status int, fields []h2.Field, body []byte) {
	c := r.c
	out := c.bufferLocked()
	if out == nil {
		return
	}
	*out = c.h2.Respond(*out, r.stream, status, fields, body)
	answered := r.stream.Answered()
	switch {
	case !answered && !r.stream.Waits():
	case c.deaf: // for the room, or the rest of the request, that it would wait for
		*out = c.h2.Reset(*out, r.stream, unwanted(r.stream))
	case answered: // a client reads it before it hears that the rest is not wanted
		r.leavePlace()
		r.setDueLocked(limits.HTTPUnwanted)
	default:
		r.setDueLocked(limits.HTTPWrite)
	}
}

// unwanted is why a stream is reset that waits for its client: its response has left (RFC
// 9113, section 8.1), or it has none.
func unwanted(s *h2.Stream) h2.Code {
	if s.Answered() {
		return h2.NoError
	}
	return h2.Cancel
}

// setDue bounds how long the client may take for its next part.
func (r *http2Request) setDue(within time.Duration) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.setDueLocked(within)
}

// setDueLocked wakes the reader of the connection, which may wait for longer.
func (r *http2Request) setDueLocked(within time.Duration) {
	if r.due.IsZero() {
		r.c.dues++
	}
	if r.due = time.Now().Add(within); r.due.Before(r.c.armed) {
		r.c.armed = r.due
		_ = r.c.http.stream.SetReadDeadline(r.due)
	}
}

func (r *http2Request) clearDue() {
	if !r.due.IsZero() {
		r.due = time.Time{}
		r.c.dues--
	}
}

// endLate ends a request whose client has not done its part in time: its body has not come,
// or it gives no room for the response.
func (r *http2Request) endLate() {
	c := r.c
	if r.stream.Answered() { // RFC 9113, section 8.1
		c.say(func(out []byte) []byte { return c.h2.Reset(out, r.stream, h2.NoError) })
		return
	}
	if r.refused != nil {
		r.refuse(r.refused)
		return
	}
	if r.body != nil {
		c.mu.Lock()
		r.endBody()
		c.mu.Unlock()
		r.refuse(doh.Late())
		return
	}
	c.s.limits.Hit(limits.TCPTime)
	c.say(func(out []byte) []byte { return c.h2.Reset(out, r.stream, h2.Cancel) })
}

// requestEnded is h2.Conn.Ended. The lock is held.
func requestEnded(s *h2.Stream) {
	if r := s.Owner.(*http2Request); r.driven {
		r.endBody()
		r.c.h2.Abandoned++
	} else {
		r.done()
	}
}

// done ends the request. The lock is held.
func (r *http2Request) done() {
	c := r.c
	if r.over {
		return
	}
	r.over = true
	r.endBody()
	c.http.release(&r.query)
	r.leavePlace()
	if c.conn.outstanding.Add(-1) == 0 && c.leaving.Load() {
		c.http.stream.leaveWithin(limits.LeaveQuietTCP)
	}
	c.change.Broadcast()
}

// leavePlace gives the place that the request has among all back. The lock is held.
func (r *http2Request) leavePlace() {
	if r.placed {
		r.placed = false
		r.c.s.http.places.Give(r.c.http.share)
	}
}

// headers are those of a request that the operator wants to see.
func (r *http2Request) headers() []transport.Header {
	var list []transport.Header
	for _, name := range *r.c.s.http.headers.Load() {
		for _, value := range r.values(name) {
			list = append(list, transport.Header{Name: name, Value: value})
		}
	}
	return list
}

// values are those of a field of the request's head.
func (r *http2Request) values(name string) (list []string) {
	s := r.stream
	switch name {
	case ":method":
		return []string{s.Method}
	case ":path":
		return []string{s.Path}
	case ":scheme":
		return []string{s.Scheme}
	case ":authority", "host": // which a client may name instead (RFC 9113, section 8.3.1)
		if s.Authority != "" {
			return []string{s.Authority}
		}
		name = "host"
	}
	for _, f := range s.Fields {
		if f.Name == name {
			list = append(list, f.Value)
		}
	}
	return list
}

// A dateText is how the field date tells one second.
type dateText struct {
	second int64
	text   string
}

// A dateCache words the field date once a second.
type dateCache struct{ last atomic.Pointer[dateText] }

// dateField is when a response is made (RFC 9110, section 6.6.1). Caches count the age of
// an answer from it.
func (d *dateCache) dateField(now time.Time) h2.Field {
	t := d.last.Load()
	if t == nil || t.second != now.Unix() {
		t = &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
		d.last.Store(t)
	}
	return h2.Field{Name: "date", Value: t.text}
}
