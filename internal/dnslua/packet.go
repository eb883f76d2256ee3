package dnslua

import (
	"errors"
	"fmt"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// packetClass is the class of the answer to a request, which a script reads and makes.
// It reads and changes the request's Result, of which the message for the client is
// made later: what stands only in a message (its ID, its OPT record) is not there.
func packetClass() *script.Class {
	class := &script.Class{Name: "answer"}
	method := func(name, args string, least, most int, fn func(c *script.Call, r *View) (any, error)) script.Func {
		return script.Func{Name: name, Args: args, Min: least + 1, Max: most + 1, Fn: func(c *script.Call) error {
			r := c.Handle(1, class).(*View)
			r.must(c)
			v, err := fn(c, r)
			if err != nil {
				return err
			}
			return c.Return(v)
		}}
	}
	read := func(name string, fn func(req *resolve.Request) any) script.Func {
		return method(name, "", 0, 0, func(_ *script.Call, r *View) (any, error) { return fn(r.Req), nil })
	}
	bit := func(name string, of func(*resolve.Result) *bool) script.Func {
		return method(name, "[value]", 0, 1, func(c *script.Call, r *View) (any, error) {
			b := of(&r.Req.Result)
			if c.NArgs() > 1 {
				*b = truth(c, 2)
				r.Req.Result.NoCache = true
			}
			return *b, nil
		})
	}
	class.Methods = []script.Func{
		read("qname", func(req *resolve.Request) any { return string(req.Name) }),
		read("qtype", func(req *resolve.Request) any { return req.Type }),
		read("qclass", func(req *resolve.Request) any { return req.Class }),
		read("rd", func(req *resolve.Request) any { return req.RD }),
		read("cd", func(req *resolve.Request) any { return req.CD }),
		read("dobit", func(req *resolve.Request) any { return req.DO }),
		read("opcode", func(*resolve.Request) any { return 0 }),
		read("qr", func(*resolve.Request) any { return true }),
		read("ra", func(*resolve.Request) any { return true }),
		read("empty", func(req *resolve.Request) any {
			return len(req.Result.Answer)+len(req.Result.Authority)+len(req.Result.Additional) == 0
		}),
		read("ad", func(req *resolve.Request) any { return req.Result.Rank.IsSecure() }),
		bit("aa", func(res *resolve.Result) *bool { return &res.AA }),
		bit("tc", func(res *resolve.Result) *bool { return &res.TC }),
		method("rcode", "[code]", 0, 1, packetRcode),
		method("begin", "section", 1, 1, packetBegin),
		method("put", "owner, ttl, class, type, rdata", 5, 5, packetPut),
		method("section", "section", 1, 1, packetSection),
		method("clear_payload", "", 0, 0, func(_ *script.Call, r *View) (any, error) {
			res := &r.Req.Result
			res.Answer, res.Authority, res.Additional, res.NoCache = nil, nil, nil, true
			r.section = 0
			return nil, nil
		}),
	}
	return class
}

// truth reads a boolean, or 0 or 1.
func truth(c *script.Call, i int) bool {
	if c.Type(i) == "number" {
		return c.Int(i, 0, 1) != 0
	}
	return c.Bool(i)
}

func packetRcode(c *script.Call, r *View) (any, error) {
	if c.NArgs() > 1 {
		r.Req.Result.Rcode = c.Int(2, 0, 15)
		r.Req.Result.NoCache = true
	}
	return r.Req.Result.Rcode & 15, nil
}

func packetBegin(c *script.Call, r *View) (any, error) {
	n := c.Int(2, 0, 2)
	if n < r.section {
		return nil, fmt.Errorf("cannot go back to an earlier section")
	}
	r.section = n
	return true, nil
}

func sectionOf(res *resolve.Result, n int) *[]resolve.Set {
	return [...]*[]resolve.Set{&res.Answer, &res.Authority, &res.Additional}[n]
}

// packetPut adds a record to the section that was begun.
func packetPut(c *script.Call, r *View) (any, error) {
	owner, err := WireName(c.Text(2))
	if err != nil {
		c.ArgError(2, "%v", err)
	}
	set := resolve.Set{Rank: rank.Auth | rank.Insecure, RRset: wire.RRset{
		Owner: owner, TTL: uint32(c.Int(3, 0, 1<<31-1)), Class: uint16(c.Int(4, 0, 0xffff)), Type: uint16(c.Int(5, 0, 0xffff)),
	}}
	data := []byte(c.Text(6))
	if len(data) > 0xffff {
		c.ArgError(6, "RDATA of more than 65535 octets")
	}
	res := &r.Req.Result
	res.NoCache = true
	// A Result may share its sets with others: a changed list is a new one.
	old := *sectionOf(res, r.section)
	list := append(make([]resolve.Set, 0, len(old)+1), old...)
	defer func() { *sectionOf(res, r.section) = list }()
	for i := range list {
		s := &list[i]
		if s.Owner == set.Owner && s.Type == set.Type && s.Class == set.Class {
			if octets(s.Data)+len(data) > limits.MaxBufsize {
				return nil, errors.New("more records of one type than a message holds")
			}
			s.TTL = min(s.TTL, set.TTL)
			s.Data = append(s.Data[:len(s.Data):len(s.Data)], data)
			return true, nil
		}
	}
	set.Data = [][]byte{data}
	list = append(list, set)
	return true, nil
}

// octets are what records take of a message at least (RFC 1035, section 3.2.1).
func octets(rdata [][]byte) (n int) {
	for _, d := range rdata {
		n += 1 + 10 + len(d)
	}
	return n
}

// packetSection lists the records of a section as tables.
func packetSection(c *script.Call, r *View) (any, error) {
	var out []any
	for _, s := range *sectionOf(&r.Req.Result, c.Int(2, 0, 2)) {
		for _, data := range s.Data {
			out = append(out, (&luavalue.Table{}).Add("owner", string(s.Owner)).Add("ttl", float64(s.TTL)).
				Add("class", float64(s.Class)).Add("type", float64(s.Type)).Add("rdata", string(data)))
		}
	}
	return out, nil
}
