package listen

import "kresd/internal/limits"

// put adds an answer, to be sent by the next flush.
func (c *framedConn) put(msg []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(msg)
}

func (c *framedConn) putLocked(msg []byte) {
	if out := c.bufferLocked(); out != nil {
		*out = appendFrame(*out, msg)
	}
}

// answer sends the answer to a query that took the driver's way. It waits while
// the client does not read.
func (c *framedConn) answer(_ *Query, msg []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roomLocked()
	if len(msg) > 0 {
		c.putLocked(msg)
	}
	c.outstanding.Add(-1)
	c.change.Broadcast()
	c.flushLocked()
}

// waitForRoom returns at once while the pipeline has room; once full, it waits
// until less than half of it is taken.
func (c *framedConn) waitForRoom() {
	if !c.pipelineFull() {
		return
	}
	c.s.limits.Hit(limits.TCPPipeline)
	c.waitUntil(func() bool { return c.outstanding.Load() <= c.s.pipeline.Load()/2 })
}
