package listen

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"kresd/internal/doh"
	"kresd/internal/limits"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// ServeHTTP implements http.Handler: one request, on a goroutine of net/http's.
//
// It does not end when its client gives the request up: what it began to resolve
// goes on, and as long it counts as one of the connection's requests. So a client
// gets no more work done by resetting streams than by waiting for them (CVE-2023-
// 44487).
func (c *httpConn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.beginRequest() {
		panic(http.ErrAbortHandler)
	}
	defer c.working.Done()
	c.outstanding.Add(1)
	defer c.outstanding.Add(-1)
	c.begin(w, r)
	answered := false
	p := c.s.panics.Run("http request", func() { answered = c.exchange(w, r) })
	if r.Context().Err() != nil {
		c.offend()
	}
	switch {
	case p != nil:
		panic(http.ErrAbortHandler) // counted and told by Run
	case !answered:
		c.s.tcp.dropped.Add(1)
		panic(http.ErrAbortHandler) // which says nothing to the client
	}
}

// begin notes that the connection is active. On one that is to end, the response
// says so, which in HTTP/2 is a GOAWAY.
func (c *httpConn) begin(w http.ResponseWriter, r *http.Request) {
	c.s.http.requests.Add(1)
	c.stream.requests.Add(1)
	c.s.conns.touch(&c.connection)
	if c.s.draining() {
		w.Header().Set("Connection", "close")
		if r.ProtoMajor == 2 {
			c.stream.stay()
		}
	}
}

// An httpQuestion is the message of a request.
type httpQuestion struct {
	msg  []byte
	room *[]byte // where it lies, if it is large
}

// release gives the room of a question back, whose message is not looked at any more.
func (c *httpConn) release(q *httpQuestion) {
	if q.room != nil {
		c.s.http.rooms.Put(q.room)
		c.s.http.large.Give(c.share)
		*q = httpQuestion{}
	}
}

// exchange answers a request; false: it deserves no answer.
func (c *httpConn) exchange(w http.ResponseWriter, r *http.Request) bool {
	var query httpQuestion
	defer c.release(&query)
	no := c.read(r, &query)
	if no == nil && !c.s.http.places.Take(c.share) {
		no = c.noPlace()
	}
	if no != nil {
		c.refuse(w, no)
		return true
	}
	defer c.s.http.places.Give(c.share)
	buf := c.s.buffers.Get().(*[]byte)
	defer c.s.recycle(buf)
	*buf = c.answerTo(&query, r, (*buf)[:0])
	if len(*buf) == 0 {
		return false
	}
	c.respond(w, *buf)
	return true
}

// read reads the message that a request carries.
func (c *httpConn) read(r *http.Request, q *httpQuestion) (no *doh.Refusal) {
	inBody, no := doh.Check(r, *c.s.http.paths.Load())
	switch {
	case no != nil:
	case inBody:
		no = c.body(r, q)
	default:
		q.msg, no = doh.Parameter(r.URL.RawQuery)
	}
	return no
}

// body reads the message of a POST. Until it is there it has a place of another kind than
// questions that are worked on have: bodies that never come are in nobody's way but that
// of bodies.
func (c *httpConn) body(r *http.Request, q *httpQuestion) (no *doh.Refusal) {
	if !c.s.http.bodies.Take(c.share) {
		return c.noPlace()
	}
	defer c.s.http.bodies.Give(c.share)
	q.msg, no = doh.Body(&bodyReader{r.Body, c.stream}, func() ([]byte, *doh.Refusal) {
		if !c.s.http.large.Take(c.share) {
			return nil, c.noPlace()
		}
		q.room = c.s.http.rooms.Get().(*[]byte)
		return *q.room, nil
	})
	return no
}

// noPlace is the refusal of a request for which there is no room.
func (c *httpConn) noPlace() *doh.Refusal {
	c.s.limits.Hit(limits.HTTPRequest)
	return &doh.Refusal{Status: http.StatusServiceUnavailable}
}

// A bodyReader reads a body that is wanted, which counts for no flood.
type bodyReader struct {
	from io.Reader
	by   *httpStream
}

// Read implements io.Reader.
func (r *bodyReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	r.by.octets.Add(-int64(n))
	return n, err
}

// refuse answers a request that carries no question, or finds no place.
func (c *httpConn) refuse(w http.ResponseWriter, no *doh.Refusal) {
	switch {
	case no.TooLong:
		c.s.limits.Hit(limits.HTTPSize)
	case no.Slow:
		c.s.limits.Hit(limits.TCPTime)
	}
	h := w.Header()
	switch no.Status {
	case http.StatusServiceUnavailable:
		c.s.http.refused.Add(1)
		h.Set("Retry-After", "1")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet+", "+http.MethodPost)
		fallthrough
	default:
		c.s.http.bad.Add(1)
	}
	setWriteDeadline(w)
	http.Error(w, no.Error(), no.Status)
}

// respond sends an answer.
func (c *httpConn) respond(w http.ResponseWriter, msg []byte) {
	h := w.Header()
	h.Set("Content-Type", doh.MediaType)
	h.Set("Content-Length", strconv.Itoa(len(msg)))
	h.Set("Cache-Control", "max-age="+strconv.FormatUint(uint64(wire.Lifetime(msg)), 10))
	setWriteDeadline(w)
	_, _ = w.Write(msg) // a client that is gone misses nothing
}

// setWriteDeadline bounds how long a client may take to read a response.
func setWriteDeadline(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limits.HTTPWrite))
}

// answerTo appends the answer to a question to out; nothing where it deserves
// none. What the session cannot answer is waited for here.
func (c *httpConn) answerTo(query *httpQuestion, r *http.Request, out []byte) []byte {
	c.s.tcp.queries.Add(1)
	answer, handling, err := c.askSession(query.msg, out)
	switch {
	case err != nil:
		return c.await(query, nil, out, false)
	case handling == Driver:
		c.s.tcp.driver.Add(1)
		return c.await(query, c.headers(r), out, true)
	case handling == Reply:
		c.s.tcp.answered.Add(1)
	}
	return answer
}

// askSession asks a session about one message.
func (c *httpConn) askSession(query, out []byte) (answer []byte, h Handling, err error) {
	sess, err := c.s.sessions.take()
	if err != nil {
		return out, Drop, err
	}
	p := c.s.panics.Run("http session", func() {
		sess.Begin()
		var reply []byte
		reply, h = sess.Answer(query, &c.client, sess.out)
		if h == Reply {
			out = append(out, reply...)
		}
		sess.End()
	})
	c.s.sessions.put(sess, p != nil)
	if p != nil {
		return out, Drop, p
	}
	return out, h, nil
}

// await sends a query the driver's way and waits for its answer; one that may not
// go there, or finds no place, is answered SERVFAIL.
func (c *httpConn) await(query *httpQuestion, headers []transport.Header, out []byte, may bool) []byte {
	path := &httpAnswer{out: out, ready: make(chan struct{})}
	q := newQuery(query.msg, &c.client, path)
	c.release(query) // for others: the answer may take long
	q.Headers = headers
	if !may || !c.s.dispatch(q) {
		c.s.failOne(q)
	}
	<-path.ready
	return path.out
}

// An httpAnswer is where a request waits for its answer.
type httpAnswer struct {
	out   []byte
	ready chan struct{}
}

// answer implements answerPath.
func (a *httpAnswer) answer(_ *Query, msg []byte) {
	a.out = append(a.out, msg...)
	close(a.ready)
}

// headers are those of a request that the operator wants to see.
func (c *httpConn) headers(r *http.Request) []transport.Header {
	var list []transport.Header
	for _, name := range *c.s.http.headers.Load() {
		for _, value := range valuesOf(r, name) {
			list = append(list, transport.Header{Name: name, Value: value})
		}
	}
	return list
}

// valuesOf are the values of a field of a request's head, those of HTTP/2 with a
// colon among them (RFC 9113, section 8.3.1), which HTTP/1.1 has by other names.
func valuesOf(r *http.Request, name string) []string {
	switch name {
	case ":method":
		return []string{r.Method}
	case ":path":
		return []string{r.URL.RequestURI()}
	case ":authority", "host":
		return []string{r.Host}
	case ":scheme":
		if r.TLS == nil {
			return []string{"http"}
		}
		return []string{"https"}
	}
	return r.Header.Values(name)
}
