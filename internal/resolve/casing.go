package resolve

import (
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// caseless are the denials that were asked about in lower case, too, and came again: they do
// not hang on letter case. Where nothing supports a denial it is not kept, and each client's
// question would cost its server two. The zero value is ready for use, by many goroutines at
// once.
type caseless struct {
	since limits.Recent[denial, int64] // wall seconds
}

// denial is a question that a server denies.
type denial struct {
	by    zonecut.Endpoint
	about Question
}

// note takes note of a denial that came in lower case as in mixed.
func (c *caseless) note(d denial, now int64) { c.since.Put(d, now, limits.CaselessDenials) }

// has tells whether a denial came so a while ago. A clock that goes back does not make it
// longer.
func (c *caseless) has(d denial, now int64) bool {
	at, ok := c.since.Get(d)
	return ok && at <= now && now < at+limits.CaselessLife
}
