package records

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"kresd/internal/dnslua/message"
	"kresd/internal/limits"
	"kresd/internal/modules/policy"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// An RRSet is the records of one owner, type and class in the hands of a script, which
// adds to it.
type RRSet struct {
	loan *Loan // of the request that it belongs to; nil: the script's own
	wire.RRset
}

// NewRRSet is a set for as long as a loan lasts.
func NewRRSet(l *Loan, set wire.RRset) *RRSet { return &RRSet{l, set} }

// Must raises an error in the script when it may not use the set any more, and Over tells
// whether that is so.
func (s *RRSet) Must(c *script.Call) { s.loan.Must(c) }

func (s *RRSet) Over() bool { return s.loan.Over() }

// add adds the data of one record in their canonical place (RFC 4034, section 6.3), unless
// they are there already (RFC 2181, section 5).
func (s *RRSet) add(data []byte) error {
	at := 0
	for at < len(s.Data) && bytes.Compare(s.Data[at], data) < 0 {
		at++
	}
	if slices.ContainsFunc(s.Data, func(have []byte) bool { return bytes.Equal(have, data) }) {
		return nil
	}
	if message.OctetsOf(s.Data)+len(data) > limits.MaxBufsize {
		return message.ErrTooMany
	}
	s.Data = slices.Insert(slices.Clone(s.Data), at, data)
	return nil
}

// record is the record with an index from 0.
func (s *RRSet) record(i int) wire.RR { return message.RecordAt(&s.RRset, i) }

// Text are the records as in a zone file, in the usual style.
func (s *RRSet) Text() string { return message.Usual().Lines(&s.RRset) }

// wireSize is how many octets the records take without compression.
func (s *RRSet) wireSize() (n int) {
	for _, d := range s.Data {
		n += s.Owner.Len() + 10 + len(d)
	}
	return n
}

// RRSet is what scripts know as a set of records.
func (v *Objects) RRSet(l *Loan, set wire.RRset) *script.Handle { return v.SetHandle(&RRSet{l, set}) }

// SetHandle is that for a set that is kept.
func (v *Objects) SetHandle(s *RRSet) *script.Handle { return &script.Handle{Class: v.rrset, Value: s} }

// RRSetArg is the set of records in argument i.
func (v *Objects) RRSetArg(c *script.Call, i int) *RRSet {
	s := c.Handle(i, v.rrset).(*RRSet)
	s.Must(c)
	return s
}

func (v *Objects) rrsetClass() *script.Class {
	class := &script.Class{Name: "RR set", CData: true}
	v.rrset = class
	method := methods(v, v.RRSetArg)
	class.Methods = append(v.rrsetReaders(method), v.rrsetWriters(method)...)
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		s := value.(*RRSet)
		s.Must(c)
		switch key {
		case "type":
			return s.Type, nil
		case "rclass":
			return s.Class, nil
		case "_owner":
			return string(s.Owner), nil
		case "_ttl":
			return s.TTL, nil
		case "rrs":
			return &script.Handle{Class: v.rdataset, Value: s}, nil
		}
		return nil, script.NoMember(class, key, "type", "rclass", "_owner", "_ttl", "rrs")
	}
	class.Set = func(c *script.Call, value any, key any) error {
		s := value.(*RRSet)
		s.Must(c)
		switch key {
		case "type":
			s.Type = uint16(c.Int(1, 0, 0xffff))
		case "rclass":
			s.Class = uint16(c.Int(1, 0, 0xffff))
		case "_ttl":
			s.TTL = uint32(c.Int(1, 0, message.MaxTTL))
		default:
			return script.Usage("of a set of records only type, rclass and _ttl can be assigned")
		}
		return nil
	}
	class.Len = func(c *script.Call, value any) (int, error) {
		s := value.(*RRSet)
		s.Must(c)
		return len(s.Data), nil
	}
	class.Text = func(value any) string {
		s := value.(*RRSet)
		if s.Over() {
			return "RR set"
		}
		return s.Text()
	}
	return class
}

func (v *Objects) rrsetReaders(method methodMaker[*RRSet]) []script.Func {
	index := func(c *script.Call, s *RRSet) int {
		if len(s.Data) == 0 {
			c.ArgError(2, "the set has no records")
		}
		return c.Int(2, 0, len(s.Data)-1)
	}
	return []script.Func{
		method("owner", "", 0, 0, func(_ *script.Call, s *RRSet) (any, error) { return string(s.Owner), nil }),
		method("ttl", "", 0, 1, func(c *script.Call, s *RRSet) (any, error) {
			if !c.IsNil(2) {
				s.TTL = uint32(c.Int(2, 0, message.MaxTTL))
			}
			return s.TTL, nil
		}),
		method("rdcount", "", 0, 0, func(_ *script.Call, s *RRSet) (any, error) { return len(s.Data), nil }),
		method("rdata", "index", 1, 1, func(c *script.Call, s *RRSet) (any, error) {
			return string(s.Data[index(c, s)]), nil
		}),
		method("rdata_pt", "index", 1, 1, func(c *script.Call, s *RRSet) (any, error) {
			return v.lent(s.loan, s.Data[index(c, s)]), nil
		}),
		method("get", "index", 1, 1, func(c *script.Call, s *RRSet) (any, error) { return Table(s.record(index(c, s))), nil }),
		method("tostring", "[index]", 0, 1, func(c *script.Call, s *RRSet) (any, error) {
			if c.IsNil(2) {
				return false, nil
			}
			rr := s.record(index(c, s))
			text := policy.RecordText(wire.RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class}, rr.RData)
			return strings.SplitN(text, "\t", 4)[3], nil
		}),
		method("txt_dump", "[style]", 0, 1, func(c *script.Call, s *RRSet) (any, error) { return styleArg(c, 2).Lines(&s.RRset), nil }),
		method("type_covered", "[index]", 0, 1, func(c *script.Call, s *RRSet) (any, error) {
			i := c.OptInt(2, 0, max(0, len(s.Data)-1), 0)
			if s.Type != wire.TypeRRSIG || i >= len(s.Data) || len(s.Data[i]) < 2 {
				return nil, nil
			}
			return wire.Covered(s.Data[i]), nil
		}),
		method("is_covered_by", "signature", 1, 1, func(c *script.Call, s *RRSet) (any, error) {
			sigs := v.RRSetArg(c, 2)
			return sigs.Type == wire.TypeRRSIG && sigs.Owner == s.Owner && sigs.Class == s.Class && slices.ContainsFunc(sigs.Data, func(d []byte) bool {
				return len(d) >= 2 && wire.Covered(d) == s.Type
			}), nil
		}),
		method("wire_size", "", 0, 0, func(_ *script.Call, s *RRSet) (any, error) { return s.wireSize(), nil }),
	}
}

func (v *Objects) rrsetWriters(method methodMaker[*RRSet]) []script.Func {
	return []script.Func{
		method("class", "[class]", 0, 1, func(c *script.Call, s *RRSet) (any, error) {
			if !c.IsNil(2) {
				s.Class = uint16(c.Int(2, 0, 0xffff))
			}
			return s.Class, nil
		}),
		method("add_rdata", "rdata[, length]", 1, 3, func(c *script.Call, s *RRSet) (any, error) {
			data := v.OctetsArg(c, 2)
			if len(data) > message.MaxRData {
				c.ArgError(2, "RDATA of more than %d octets", message.MaxRData)
			}
			return true, s.add([]byte(data[:c.OptInt(3, 0, len(data), len(data))]))
		}),
		method("merge_rdata", "set", 1, 1, func(c *script.Call, s *RRSet) (any, error) {
			other := v.RRSetArg(c, 2)
			if other.Owner != s.Owner || other.Type != s.Type || other.Class != s.Class {
				return nil, errors.New("the sets differ in owner, type or class")
			}
			for _, data := range other.Data {
				if err := s.add(data); err != nil {
					return nil, err
				}
			}
			return true, nil
		}),
	}
}

// rdatasetClass is the field rrs of a set.
func (v *Objects) rdatasetClass() *script.Class {
	class := &script.Class{Name: "rdataset", CData: true}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		s := value.(*RRSet)
		s.Must(c)
		switch key {
		case "count", "rr_count":
			return len(s.Data), nil
		case "size":
			return message.OctetsOf(s.Data), nil
		case "rdata":
			return v.lent(s.loan, slices.Concat(s.Data...)), nil
		}
		return nil, script.NoMember(class, key, "count", "size", "rdata")
	}
	return class
}

// newRRSet is kres.rrset.
func (v *Objects) newRRSet(c *script.Call) error {
	s := &RRSet{RRset: wire.RRset{Owner: "\x00", Class: wire.ClassIN}}
	if !c.IsNil(1) {
		s.Owner = v.NameArg(c, 1)
	}
	s.Type = uint16(c.OptInt(2, 0, 0xffff, 0))
	s.Class = uint16(c.OptInt(3, 0, 0xffff, int(wire.ClassIN)))
	s.TTL = uint32(c.OptInt(4, 0, message.MaxTTL, 0))
	return c.Return(v.SetHandle(s))
}
