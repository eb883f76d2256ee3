package listen

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"kresd/internal/doh"
	"kresd/internal/h2"
	"kresd/internal/limits"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// ServeHTTP implements http.Handler: one request by HTTP/1.1, on a goroutine of net/http's.
//
// It does not end when its client gives the request up: what it began to resolve
// goes on, and as long it counts as one of the connection's requests.
func (c *httpConn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.beginRequest() {
		panic(http.ErrAbortHandler)
	}
	defer c.working.Done()
	c.outstanding.Add(1)
	defer c.outstanding.Add(-1)
	c.begin()
	if c.s.draining() {
		w.Header().Set("Connection", "close")
	}
	answered := false
	p := c.s.panics.Run("http request", func() { answered = c.exchange(w, r) })
	if r.Context().Err() != nil {
		c.giveUp()
	}
	switch {
	case p != nil:
		panic(http.ErrAbortHandler) // counted and told by Run
	case !answered:
		c.s.tcp.dropped.Add(1)
		panic(http.ErrAbortHandler) // which says nothing to the client
	}
}

// begin notes that the connection is active.
func (c *httpConn) begin() {
	c.s.http.requests.Add(1)
	c.stream.requests.Add(1)
	c.source.asks()
	c.s.conns.touch(&c.connection)
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
	inBody, no := doh.Check(doh.Head{Method: r.Method, Path: r.URL.Path, ContentType: r.Header.Get("Content-Type"), Length: r.ContentLength}, *c.s.http.paths.Load())
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
	acknowledge(c.stream) // many clients send a body when they know that its head has come
	body := doh.Body{More: func() ([]byte, *doh.Refusal) { return c.largeRoom(q) }}
	q.msg, no = body.ReadAll(&bodyReader{r.Body, c.stream})
	return no
}

// largeRoom is room for a question that is large.
func (c *httpConn) largeRoom(q *httpQuestion) ([]byte, *doh.Refusal) {
	if !c.s.http.large.Take(c.share) {
		return nil, c.noPlace()
	}
	q.room = c.s.http.rooms.Get().(*[]byte)
	return *q.room, nil
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
	for _, f := range c.refusal(no) {
		w.Header().Set(f.Name, f.Value)
	}
	setWriteDeadline(w)
	http.Error(w, no.Error(), no.Status)
}

// refusal counts a request that is refused, and is what the head of the response says of it
// beside the status.
func (c *httpConn) refusal(no *doh.Refusal) (fields []h2.Field) {
	switch {
	case no.TooLong:
		c.s.limits.Hit(limits.HTTPSize)
	case no.Slow:
		c.s.limits.Hit(limits.TCPTime)
	}
	switch no.Status {
	case http.StatusServiceUnavailable:
		c.s.http.refused.Add(1)
		return []h2.Field{{Name: "retry-after", Value: "1"}}
	case http.StatusMethodNotAllowed:
		fields = []h2.Field{{Name: "allow", Value: http.MethodGet + ", " + http.MethodHead + ", " + http.MethodPost}}
	}
	c.s.http.bad.Add(1)
	return fields
}

// respond sends an answer.
func (c *httpConn) respond(w http.ResponseWriter, msg []byte) {
	for _, f := range answerFields(msg) {
		w.Header().Set(f.Name, f.Value)
	}
	setWriteDeadline(w)
	_, _ = w.Write(msg) // a client that is gone misses nothing
}

// answerFields are what the head of a response says of an answer.
func answerFields(msg []byte) [3]h2.Field {
	return [...]h2.Field{
		{Name: "content-type", Value: doh.MediaType},
		{Name: "content-length", Value: strconv.Itoa(len(msg))},
		{Name: "cache-control", Value: "max-age=" + strconv.FormatUint(uint64(wire.Lifetime(msg)), 10)},
	}
}

// setWriteDeadline bounds how long a client may take to read a response.
func setWriteDeadline(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limits.HTTPWrite))
}

// answerTo appends the answer to a question to out; nothing if the question gets none. If
// the session cannot answer it, this waits for the driver's way.
func (c *httpConn) answerTo(query *httpQuestion, r *http.Request, out []byte) []byte {
	handling, err := c.askSession(query.msg, func(answer []byte) { out = append(out, answer...) })
	switch {
	case err != nil:
		return c.await(query, nil, out, false)
	case handling == Driver:
		return c.await(query, c.headers(r), out, true)
	}
	return out
}

// askSession asks a session about one message, and counts what comes of it. An answer is
// given to use before the session answers another.
func (c *httpConn) askSession(query []byte, use func(answer []byte)) (h Handling, err error) {
	c.s.tcp.queries.Add(1)
	sess, err := c.s.sessions.take()
	if err != nil {
		return Drop, err
	}
	p := c.s.panics.Run("http session", func() {
		sess.Begin()
		var answer []byte
		if answer, h = sess.Answer(query, &c.client, sess.out); h == Reply {
			use(answer)
		}
		sess.End()
	})
	c.s.sessions.put(sess, p != nil)
	switch {
	case p != nil:
		return Drop, p
	case h == Driver:
		c.s.tcp.driver.Add(1)
	case h == Reply:
		c.s.tcp.answered.Add(1)
	}
	return h, nil
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

// valuesOf are the values of a field of a head by HTTP/1.1, those of HTTP/2 with a
// colon among them (RFC 9113, section 8.3.1), which it has by other names.
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
