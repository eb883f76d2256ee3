package cache

import (
	"encoding/binary"

	"kresd/internal/dnsname"
)

// cursor reads the body of an entry with bounds. Once something is missing,
// bad is set and everything read is zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) bytes(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() int {
	if b := c.bytes(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) name() dnsname.Name {
	n, err := dnsname.FromWire(c.b)
	if c.bad || err != nil {
		c.bad = true
		return ""
	}
	c.bytes(n.Len())
	return n
}

// end tells whether everything was there and nothing more.
func (c *cursor) end() bool { return !c.bad && len(c.b) == 0 }
