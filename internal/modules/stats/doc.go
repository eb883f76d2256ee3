// Package stats is the module stats: it counts what clients were told, and shows
// what is asked often and how fast other servers are.
//
// Answers are counted where they are ready to be sent, on both ways. A cached
// answer costs one atomic increment in a table that belongs to the listener's
// thread (tally.go): one place for each combination of result, flags and
// transport. The counters that people know by name are sums over such places,
// made when somebody asks (counters.go). The driver's way adds how long it took.
// Questions to other servers are sampled (frequent.go) and their round trips kept
// in a ring (upstreams.go).
//
// Counters belong to one worker; map('stats.list()') shows all workers'. A module
// that is loaded again starts from 0.
package stats
