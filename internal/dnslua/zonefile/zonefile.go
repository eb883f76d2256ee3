// Package zonefile is the library of that name: it reads records of master files (RFC 1035,
// section 5) and shows them to scripts as tables, all at once or one after the other.
package zonefile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/records"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/textfile"
	"kresd/internal/wire"
	"kresd/internal/wording"
)

// Library makes it for one machine.
func Library(vm *script.VM) script.Library {
	class := parserClass()
	vm.Describe(class, "parser")
	return script.Library{Name: "zonefile", Help: "records of zone files", Open: func(c *script.Call) (any, error) {
		return c.LibraryTable("zonefile", []script.Func{
			{Name: "file", Args: "path", Min: 1, Max: 1, Help: "the records of a file as tables, or nil and an error", Fn: readZoneFile},
			{Name: "string", Args: "text", Min: 1, Max: 1, Help: "the records of a text as tables, or nil and an error", Fn: func(c *script.Call) error {
				text := c.Text(1)
				return returnRecords(c, func(ctx context.Context) ([]any, error) {
					return allRecords(ctx, newZoneReader(strings.NewReader(text), "text", ".", defaultZoneTTL))
				})
			}},
			{Name: "new", Args: "[origin[, class[, ttl]]]", Max: 3, Help: "a parser that reads one record after the other", Fn: func(c *script.Call) error { return newParser(c, class) }},
		}), nil
	}}
}

// defaultZoneTTL is the TTL of records in whose file nothing says it, in seconds.
const defaultZoneTTL = 3600

// A zoneReader reads records one after the other.
type zoneReader struct {
	file  string
	lines *lineCounter
	zp    *dns.ZoneParser
	rr    wire.RR
	note  string // the comment behind it
	count int
	err   error
}

// A lineCounter counts the lines that were read.
type lineCounter struct {
	io.ByteReader
	ended int
}

// Read is there for those who ask for a Reader; they read octet by octet.
func (r *lineCounter) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func (r *lineCounter) ReadByte() (byte, error) {
	b, err := r.ByteReader.ReadByte()
	if b == '\n' && err == nil {
		r.ended++
	}
	return b, err
}

func newZoneReader(r io.ByteReader, file, origin string, ttl uint32) *zoneReader {
	z := &zoneReader{file: file, lines: &lineCounter{ByteReader: r}}
	z.zp = dns.NewZoneParser(z.lines, origin, file)
	z.zp.SetDefaultTTL(ttl)
	z.zp.SetIncludeAllowed(false)
	return z
}

// next reads a record. It is false at the end, and after an error.
func (z *zoneReader) next() bool {
	if z.err != nil {
		return false
	}
	rr, ok := z.zp.Next()
	if !ok {
		if err := z.zp.Err(); err != nil {
			z.err = wording.Record(z.file, err)
		}
		return false
	}
	if z.count++; z.count > limits.LuaZoneRecords {
		z.err = fmt.Errorf("%s:%d: more than %d records", z.file, z.line(), limits.LuaZoneRecords)
		return false
	}
	z.note = strings.TrimPrefix(z.zp.Comment(), ";")
	if z.rr, z.err = recordFrom(rr); z.err != nil {
		z.err = fmt.Errorf("%s:%d: %w", z.file, z.line(), z.err)
	}
	return z.err == nil
}

// line is the line of the record that was read last.
func (z *zoneReader) line() int { return max(z.lines.ended, 1) }

// recordFrom is a record in wire form.
func recordFrom(rr dns.RR) (out wire.RR, err error) {
	h := rr.Header()
	if out.Owner, err = dnsname.Parse(h.Name); err != nil {
		return out, err
	}
	buf := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return out, fmt.Errorf("no such record can be made: %w", err)
	}
	const fixed = 10 // type, class, TTL and length (RFC 1035, section 3.2.1)
	out.Type, out.Class, out.TTL, out.RData = h.Rrtype, h.Class, h.Ttl, buf[out.Owner.Len()+fixed:n]
	return out, nil
}

// table is the record that was read last as scripts see it.
func (z *zoneReader) table() *luavalue.Table {
	t := records.Table(z.rr)
	if z.note != "" {
		t.Add("comment", z.note)
	}
	return t
}

// returnRecords returns all records, or nil and what is wrong. It leaves the machine to
// others meanwhile.
func returnRecords(c *script.Call, read func(ctx context.Context) ([]any, error)) error {
	var why error
	list, err := script.Outside(c, func(ctx context.Context) (list []any, err error) {
		list, why = read(ctx)
		return list, ctx.Err()
	})
	switch {
	case err != nil:
		return err
	case why != nil:
		return c.Return(nil, why.Error())
	}
	return c.Return(list)
}

func allRecords(ctx context.Context, z *zoneReader) (list []any, err error) {
	for z.next() {
		if list = append(list, z.table()); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if list == nil {
		list = []any{}
	}
	return list, z.err
}

// readZoneFile is zonefile.file.
func readZoneFile(c *script.Call) error {
	vm, path := c.VM(), c.Text(1)
	return returnRecords(c, func(ctx context.Context) ([]any, error) {
		f, err := openZoneFile(vm, path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return allRecords(ctx, newZoneReader(boundedFile(f), wording.Printable(path), ".", defaultZoneTTL))
	})
}

// openZoneFile opens a regular file of a bounded size.
func openZoneFile(vm *script.VM, path string) (*os.File, error) {
	f, err := textfile.Open(path)
	if f, err = vm.Opened(path, f, err); err != nil {
		return nil, fmt.Errorf("%s: %w", wording.Printable(path), wording.Reason(err))
	}
	info, err := f.Stat()
	if err == nil && info.Size() > limits.LuaZoneOctets {
		err = fmt.Errorf("larger than %d MiB", limits.LuaZoneOctets>>20)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", wording.Printable(path), err)
	}
	return f, nil
}

// boundedFile reads no more of a file than a zone file may have, also where it grows.
func boundedFile(f *os.File) io.ByteReader {
	return bufio.NewReaderSize(io.LimitReader(f, limits.LuaZoneOctets), 64<<10)
}

// A zoneParser is a parser in the hands of a script.
type zoneParser struct {
	origin string
	ttl    uint32
	file   string // that is read, or what stands for it in messages
	reader *zoneReader
	failed error
}

// newParser is zonefile.new.
func newParser(c *script.Call, class *script.Class) error {
	p := &zoneParser{origin: c.OptString(1, "."), ttl: uint32(c.OptInt(3, 0, message.MaxTTL, defaultZoneTTL))}
	if _, err := dnsname.Parse(p.origin); err != nil {
		c.ArgError(1, "'%s' is no name: %v", wording.Printable(p.origin), err)
	}
	if c.OptInt(2, 0, 0xffff, int(wire.ClassIN)) != int(wire.ClassIN) {
		c.ArgError(2, "records without a class are of class IN; others name theirs")
	}
	return c.Return(&script.Handle{Class: class, Value: p})
}

// open begins with a file, which is read whole: the parser may never be used again.
func (p *zoneParser) open(vm *script.VM, path string) error {
	f, err := openZoneFile(vm, path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limits.LuaZoneOctets))
	if err != nil {
		return fmt.Errorf("%s: %w", wording.Printable(path), wording.Reason(err))
	}
	p.read(wording.Printable(path), string(text))
	return nil
}

// read begins with a text.
func (p *zoneParser) read(file, text string) {
	p.file = file
	p.reader, p.failed = newZoneReader(strings.NewReader(text), p.file, p.origin, p.ttl), nil
}

// next reads a record; false at the end.
func (p *zoneParser) next() (bool, error) {
	if p.reader == nil {
		return false, errors.New("the parser has nothing to read: open a file, or give parse a text")
	}
	ok := p.reader.next()
	p.failed = p.reader.err
	return ok, p.failed
}

func parserClass() *script.Class {
	class := &script.Class{Name: "zone parser", CData: true}
	of := func(c *script.Call) *zoneParser { return c.Handle(1, class).(*zoneParser) }
	class.Methods = []script.Func{
		{Name: "open", Args: "path", Min: 2, Max: 2, Fn: func(c *script.Call) error {
			p := of(c)
			if p.failed = p.open(c.VM(), c.Text(2)); p.failed != nil {
				return c.Return(nil, p.failed.Error())
			}
			return c.Return(true)
		}},
		{Name: "parse", Args: "[text]", Min: 1, Max: 2, Fn: func(c *script.Call) error {
			p := of(c)
			if !c.IsNil(2) {
				p.read("text", c.Text(2))
			}
			ok, err := p.next()
			switch {
			case err != nil:
				return c.Return(nil, err.Error())
			case !ok:
				return c.Return(nil)
			}
			return c.Return(true)
		}},
		{Name: "current_rr", Min: 1, Max: 1, Fn: func(c *script.Call) error {
			p := of(c)
			if p.reader == nil || p.reader.rr.Owner == "" {
				return c.Return(nil)
			}
			return c.Return(p.reader.table())
		}},
		{Name: "strerr", Min: 1, Max: 1, Fn: func(c *script.Call) error {
			if err := of(c).failed; err != nil {
				return c.Return(err.Error())
			}
			return c.Return(nil)
		}},
	}
	class.Get = func(_ *script.Call, value any, key any) (any, error) { return value.(*zoneParser).field(class, key) }
	return class
}

// field is what scripts read of the record that was read last.
func (p *zoneParser) field(class *script.Class, key any) (any, error) {
	rr, line := wire.RR{}, 0
	if p.reader != nil {
		rr, line = p.reader.rr, p.reader.line()
	}
	switch key {
	case "r_owner":
		return string(rr.Owner), nil
	case "r_owner_length":
		return len(rr.Owner), nil
	case "r_data":
		return string(rr.RData), nil
	case "r_data_length":
		return len(rr.RData), nil
	case "r_type":
		return rr.Type, nil
	case "r_class":
		return rr.Class, nil
	case "r_ttl":
		return rr.TTL, nil
	case "line_counter":
		return line, nil
	}
	return nil, script.NoMember(class, key, "r_owner", "r_owner_length", "r_data", "r_data_length", "r_type", "r_class", "r_ttl", "line_counter")
}
