package luavalue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The first octet of each encoded value.
const (
	tagNil    = 'n'
	tagFalse  = 'f'
	tagTrue   = 't'
	tagNumber = 'd' // 8 octets, IEEE 754, big-endian
	tagString = 's' // length in 4 octets, big-endian, then the octets
	tagTable  = '{' // number of pairs in 4 octets, then key and value of each
)

// maxDepth bounds the nesting of tables on both sides.
const maxDepth = 64

// Errors of Append and Decode.
var (
	ErrDepth     = errors.New("tables are nested too deeply or contain themselves")
	ErrMalformed = errors.New("malformed value")
)

// Append appends the encoding of v to dst. Integers of Go's kinds are written
// as numbers. It fails for a value that has no form here and for tables nested
// more than 64 deep, as a table that contains itself is.
func Append(dst []byte, v any) ([]byte, error) { return appendValue(dst, v, 0) }

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, tagNil), nil
	case bool:
		if v {
			return append(dst, tagTrue), nil
		}
		return append(dst, tagFalse), nil
	case float64:
		dst = append(dst, tagNumber)
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v)), nil
	case int:
		return appendValue(dst, float64(v), depth)
	case string:
		dst = append(dst, tagString)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v)))
		return append(dst, v...), nil
	case *Table:
		return appendTable(dst, v, depth)
	}
	return dst, fmt.Errorf("a %T cannot leave its process", v)
}

func appendTable(dst []byte, t *Table, depth int) ([]byte, error) {
	if depth == maxDepth {
		return dst, ErrDepth
	}
	dst = append(dst, tagTable)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(t.Pairs)))
	var err error
	for _, p := range t.Pairs {
		if dst, err = appendValue(dst, p.Key, depth+1); err != nil {
			return dst, err
		}
		if dst, err = appendValue(dst, p.Value, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// Decode reads one value that fills b exactly. The octets may come from
// anywhere: lengths are checked before memory is taken.
func Decode(b []byte) (any, error) {
	d := decoder{b}
	v, err := d.value(0)
	if err == nil && len(d.rest) != 0 {
		err = ErrMalformed
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

type decoder struct{ rest []byte }

// take returns the next n octets.
func (d *decoder) take(n int) ([]byte, error) {
	if n > len(d.rest) {
		return nil, ErrMalformed
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b, nil
}

func (d *decoder) length() (int, error) {
	b, err := d.take(4)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(d.rest)) { // an entry takes at least an octet
		return 0, ErrMalformed
	}
	return int(n), nil
}

func (d *decoder) value(depth int) (any, error) {
	tag, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch tag[0] {
	case tagNil:
		return nil, nil
	case tagFalse, tagTrue:
		return tag[0] == tagTrue, nil
	case tagNumber:
		b, err := d.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case tagString:
		n, err := d.length()
		if err != nil {
			return nil, err
		}
		b, err := d.take(n)
		return string(b), err
	case tagTable:
		return d.table(depth)
	}
	return nil, ErrMalformed
}

func (d *decoder) table(depth int) (any, error) {
	if depth == maxDepth {
		return nil, ErrDepth
	}
	n, err := d.length()
	if err != nil {
		return nil, err
	}
	t := &Table{}
	for range n {
		key, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		value, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if !validKey(key) {
			return nil, ErrMalformed
		}
		t.Pairs = append(t.Pairs, Pair{key, value})
	}
	return t, nil
}

// validKey rejects what cannot be a key of a Lua table.
func validKey(key any) bool {
	switch key := key.(type) {
	case float64:
		return !math.IsNaN(key)
	case string, bool:
		return true
	}
	return false
}
