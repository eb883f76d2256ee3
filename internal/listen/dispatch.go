package listen

// A job is what a goroutine of the server does next: one of these.
type job struct {
	query   *Query     // to be resolved
	receive *udpThread // to be received from
}

// dispatch sends q the driver's way. It never blocks; false means that there is
// no place for q, and that the caller keeps it.
func (s *Server) dispatch(q *Query) bool {
	if !s.admit(q) {
		return false
	}
	s.hire(job{query: q})
	return true
}

// admit gives q a place on the driver's way; false means that there is none.
func (s *Server) admit(q *Query) bool {
	evicted, ok := s.pending.admit(q)
	if evicted != nil {
		s.evict(evicted)
	}
	if !ok {
		q.ctx.cancel()
		s.driver.refused.Add(1)
		return false
	}
	s.driver.started.Add(1)
	return true
}

// hire has a goroutine do j.
func (s *Server) hire(j job) {
	if !s.idlePool.take(j) {
		s.panics.Go("query", func() { s.work(j) })
	}
}

// failOne answers SERVFAIL to a connection's query that found no place or no
// session.
func (s *Server) failOne(q *Query) {
	q.table = s.pending
	s.panics.Run("servfail", func() { q.fail(s.handler) })
	q.Drop()
}

// work does j and then other jobs, until there are idle goroutines enough.
func (s *Server) work(j job) {
	next := make(chan job, 1)
	for open := true; open; {
		if j.query != nil {
			s.resolve(j.query)
		} else {
			j.receive.main()
		}
		j = job{} // so that the query is not kept in memory meanwhile
		if !s.idlePool.add(next) {
			return
		}
		j, open = <-next
	}
}

// resolve carries one query on its goroutine. Whatever the handler does, the
// client gets an answer and the table its place back.
func (s *Server) resolve(q *Query) {
	defer s.pending.ended()
	defer q.ctx.cancel()
	if p := s.panics.Run("query", func() { s.handler.Resolve(&q.ctx, q) }); p != nil || q.Waiting() {
		s.driver.failed.Add(1)
		q.fail(s.handler)
	}
}

// evict takes a query's place away. A UDP client is told nothing: it asks
// again. A connection's query was accepted and will be answered, by the handler
// whose context ends here.
func (s *Server) evict(q *Query) {
	s.driver.evicted.Add(1)
	if !q.Client.Kind.Stream() {
		q.Drop()
	}
	q.ctx.cancel()
}
