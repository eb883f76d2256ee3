// Package resolve drives a client's question to its answer.
//
// The Driver decides when to do what, never how. What an answer means is known by
// the iterate layer, whether it is genuine by validate, what to keep by cache; which
// server is asked is selection's choice, and how it is asked the Exchanger's. The
// package opens no socket, touches no database, runs no Lua and never reads the clock:
// the Request says when it is. It tells its steps as data; the only sentences that it
// makes are those of failures (failure.go), which clients get as extended errors.
//
// # The way of a question
//
// Resolve lets the layers' Begin hooks decide about the request. If none does, the
// request joins an equal one that is under way, or is resolved on its own: its
// question becomes the first Query on the Plan, a stack. The query on top is taken
// one step further, again and again, until the stack is empty, a failure ends the
// request, or its time or its Budget is over. Then the Finalize hooks have the last
// touch on the Result.
//
// A query is in one of five phases:
//
//   - Produce: what a module answers on the operator's word (Own: hints) counts before
//     all else; then each layer may answer without the network, as the cache does. With
//     an outcome, the next phase is Consume; without, Cut.
//   - Cut: the closest known zone cut at or above the name is looked up, unless a rule
//     named the servers. The next phase is Ask.
//   - Ask: a server of the cut is chosen, iterate decides how much of the question it
//     is shown, and the question is sent. With an answer, be it a late one to an
//     earlier attempt, the next phase is Consume; without, Ask once more. Where no
//     address is left, a name server's address becomes a query of its own on top of
//     the plan, and this one goes on in Ask when that has left it. At the first sign of
//     trouble such an address is looked up beside the plan. Where many others
//     ask the same, the query waits for them and goes back to Produce.
//   - Consume: each layer sees the answer or the produced outcome, and then the kind of
//     outcome decides. An answer or a denial ends the query. A referral leads to Ask,
//     with the servers of the new cut. What concludes nothing, or comes from a server
//     that is of no use, leads to Ask, for another question or another server; when
//     none is left, to Consume with an outcome that was held back, or, once each, to
//     Ask for the name servers of a zone below that is proven to be one, or with the
//     servers of the parent, which may have changed the delegation; or the
//     query fails. An alias leads to Alias.
//   - Alias: the target is a query of its own on top of the plan. When that has left
//     the plan, its outcome is joined to the chain, which ends this query.
//
// A layer that needs to know more pushes a query, too, and returns Yield: its phase
// goes on with the same hook when that query has left the plan.
//
// # Rooms
//
// From the ground up: a file stands on those before it. To read on from the phases
// above, begin at the end.
//
//   - Values: options.go (how a request is resolved, and which partition of what is
//     remembered that puts it in), outcome.go (what a query came to, and what the
//     client is told), exchange.go (one question to one server: how it is asked, what
//     it may cost, and how it is answered late), steps.go (what is told to those who
//     read along).
//   - What is worked on: learnt.go (what a request and its look-ups beside have learnt of
//     zones together), casing.go (denials that do not hang on letter case), query.go (a Query, what it still waits for, and the Plan),
//     request.go (a Request, and the hooks of a Layer), route.go (whose servers are
//     asked on the operator's word, and who shares what those say).
//   - Who works: driver.go (what outlives a request), earlier.go (what
//     is known of servers that do not answer), failure.go (why it comes to
//     nothing, what servers did to cause that, and what the client sees of it).
//   - The phase Ask: servers.go (addresses for the servers of the cut), beside.go
//     (look-ups of such addresses while others are asked), encrypted.go (who is asked over
//     TLS though nobody demands it), attempt.go (one question to one server), ask.go
//     (whom to ask next, and what is done when nobody is left).
//   - The whole: phases.go (one step of a query, the phases Produce, Cut, Consume and
//     Alias, and what follows from an outcome), resolve.go (one request from Begin to
//     Finish, and those that join it).
//
// A look-up beside a query goes through the phases from the first, so that beside.go
// knows phases.go, which stands above it.
package resolve
