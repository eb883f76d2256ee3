package rpz

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

var errFull = errors.New("full")

// read is what a zone says, a line for each record, and of each that was skipped its line.
func read(text io.Reader) (said, skipped []string, err error) {
	words := map[Answer]string{NXDomain: "nxdomain", NoData: "nodata", PassThru: "pass", Drop: "drop", TCPOnly: "tcp"}
	r := Reader{
		Take: func(r *Record) error {
			owner := r.Name.String()
			if r.Below {
				owner = "*." + owner
			}
			if owner == "full." {
				return errFull
			}
			if r.Answer == Data {
				said = append(said, fmt.Sprintf("%s %d %d %v", owner, r.Type, r.TTL, r.RData))
			} else {
				said = append(said, owner+" "+words[r.Answer])
			}
			return nil
		},
		Fatal: func(err error) bool { return errors.Is(err, errFull) },
		Parse: func(origin dnsname.Name, text string) (uint16, []byte, error) {
			if strings.HasPrefix(text, "DNSKEY ") {
				return wire.TypeDNSKEY, []byte{}, nil
			}
			if !strings.HasPrefix(text, "TXT ") {
				return 0, nil, errors.New("no such type")
			}
			return 16, []byte(text[4:]), nil
		},
		Skipped: func(line int, why error) { skipped = append(skipped, fmt.Sprintf("%d: %v", line, why)) },
	}
	err = r.Read(text)
	return said, skipped, err
}

func TestZonesAreRead(t *testing.T) {
	long := strings.Repeat(strings.Repeat("x", 60)+".", 3)
	for name, c := range map[string]struct {
		text          string
		said, skipped []string
	}{
		"each kind of CNAME": {
			"a.example CNAME .\n*.a.example CNAME .\nb.example CNAME *.\nc.example CNAME rpz-passthru.\nd.example CNAME RPZ-Drop.\ne.example CNAME rpz-tcp-only.\nf.example CNAME f.example.\n",
			[]string{"a.example. nxdomain", "*.a.example. nxdomain", "b.example. nodata", "c.example. pass", "d.example. drop", "e.example. tcp", "f.example. pass"}, nil,
		},
		"names are those of the zone": {
			"$ORIGIN rpz.example.\n@ SOA a b ( 1 2\n 3 4 ; remark )\n 5 )\n NS x.\n TXT about\na CNAME .\nb.test.rpz.example. CNAME .\nc.test. CNAME .\n* CNAME .\n@ CNAME .\n",
			[]string{"a. nxdomain", "b.test. nxdomain", "*.. nxdomain"}, []string{"9: " + errOutside.Error(), "11: " + errRoot.Error()},
		},
		"a zone without SOA begins with its origin": {
			"$ORIGIN rpz.\na CNAME .\n$ORIGIN com.rpz.\nb CNAME .\n$ORIGIN net\nc CNAME .\n",
			[]string{"a. nxdomain", "b.com. nxdomain", "c.net.com. nxdomain"}, nil,
		},
		"TTL and class": {
			"$TTL 1h30m\na A 192.0.2.1\na IN 60 A 192.0.2.2\na 1d in A 192.0.2.3\n AAAA 2001:db8::1\na CH A 192.0.2.4\nb 99999999999 A 192.0.2.1\n$TTL x\n",
			[]string{"a. 1 5400 [192 0 2 1]", "a. 1 60 [192 0 2 2]", "a. 1 86400 [192 0 2 3]", "a. 28 5400 [32 1 13 184 0 0 0 0 0 0 0 0 0 0 0 1]"},
			[]string{"6: " + errClass.Error(), "7: no such type", "8: $TTL: a number of seconds expected"},
		},
		"data": {
			"a TXT \"x ; y\" ; z\na A 192.0.2.300\na AAAA 192.0.2.1\na A\na DNAME x.\na NS x.\na RRSIG x y\na CNAME www.example.\n",
			[]string{"a. 16 3600 [34 120 32 59 32 121 34]"},
			[]string{"2: '192.0.2.300' is no address of type A", "3: '192.0.2.1' is no address of type AAAA", "4: " + errNoType.Error(), "5: " + errDNAME.Error(), "6: NS is for the name of the zone only", "8: " + errTarget.Error()},
		},
		"a signed zone": {
			"@ SOA a. b. 1 2 3 4 5\n RRSIG x\n DNSKEY x\n NSEC3PARAM x\na CNAME .\n RRSIG x\n NSEC x\nb DNSKEY x\n",
			[]string{"a. nxdomain"}, []string{"8: type DNSKEY: nobody can be answered with it"},
		},
		"other triggers": {
			"32.1.2.0.192.rpz-ip CNAME .\nns.example.rpz-nsdname CNAME .\n32.1.2.0.192.rpz-nsip CNAME .\n32.1.2.0.192.rpz-client-ip CNAME .\n",
			nil, []string{"1: " + errTrigger.Error(), "2: " + errTrigger.Error(), "3: " + errTrigger.Error(), "4: " + errTrigger.Error()},
		},
		"names that are too long with their origin": {
			"$ORIGIN " + long + "\n@ SOA a b 1 2 3 4 5\n" + long[:120] + " CNAME .\na CNAME .\n",
			[]string{"a. nxdomain"}, []string{"3: '" + long[:80] + "…': name longer than 255 octets, with its origin"},
		},
		"directives": {
			"$INCLUDE /etc/passwd\n$GENERATE 1-4000000000 a$ CNAME .\n$ORIGIN\n$BOMB\n$ORIGIN .\na CNAME .\n",
			[]string{"a. nxdomain"}, []string{"1: " + errInclude.Error(), "2: " + errGenerate.Error(), "3: $ORIGIN: one name expected", "4: '$BOMB' is not known"},
		},
		"records that are wrong": {
			" CNAME .\na..b CNAME .\n CNAME .\n) CNAME .\na \"CNAME .\na CNAME . x\n\x00\nb CNAME .\n",
			[]string{"b. nxdomain"}, []string{"1: " + errNoOwner.Error(), "2: 'a..b': empty label", "3: " + errNoOwner.Error(), "4: " + errClosed.Error(), "5: " + errQuote.Error(), "6: CNAME: one name expected", "7: " + errNoType.Error()},
		},
		"a line that is too long": {
			"a CNAME .\n" + strings.Repeat("x", limits.ListLine+10) + " CNAME .\nb CNAME .\n",
			[]string{"a. nxdomain", "b. nxdomain"}, []string{"2: " + errLong.Error()},
		},
		"parentheses that are never closed": {"a CNAME .\nb ( CNAME .\nc CNAME .\n", []string{"a. nxdomain"}, []string{"2: " + errOpen.Error()}},
		"a byte order mark, carriage returns and no end of the last line": {
			"\ufeffa CNAME .\r\n\r\nb\tCNAME\t. ; x", []string{"a. nxdomain", "b. nxdomain"}, nil,
		},
		"escapes": {`a\;b CNAME . ; x` + "\n" + `a\.b. CNAME .` + "\n$ORIGIN x.\n" + `c\. CNAME .` + "\n", []string{`a\;b. nxdomain`, `a\.b. nxdomain`, `c\..x. nxdomain`}, nil},
	} {
		said, skipped, err := read(strings.NewReader(c.text))
		if err != nil || !slices.Equal(said, c.said) || !slices.Equal(skipped, c.skipped) {
			t.Errorf("%s: %v\nread    %q\nwant    %q\nskipped %q\nwant    %q", name, err, said, c.said, skipped, c.skipped)
		}
	}
}

// What has no owner of its own is of the record before, be that one wrong, and of none where
// that one's owner cannot be read.
func TestRecordsBehindAWrongOneAreNotOfTheOwnerBeforeIt(t *testing.T) {
	long := strings.Repeat("x", limits.ListLine+10)
	for what, c := range map[string]struct {
		text          string
		said, skipped []string
	}{
		"a quote": {"a CNAME .\nb TXT \"x\n A 192.0.2.1\n A 192.0.2.2\nc A 192.0.2.3\n", []string{"a. nxdomain", "c. 1 3600 [192 0 2 3]"},
			[]string{"2: " + errQuote.Error(), "3: " + errNoOwner.Error(), "4: " + errNoOwner.Error()}},
		"a parenthesis": {"a A 192.0.2.1\nb ) A 192.0.2.2\n A 192.0.2.3\na A 192.0.2.4\n A 192.0.2.5\n",
			[]string{"a. 1 3600 [192 0 2 1]", "a. 1 3600 [192 0 2 4]", "a. 1 3600 [192 0 2 5]"}, []string{"2: " + errClosed.Error(), "3: " + errNoOwner.Error()}},
		"a long line":  {"a CNAME .\nb TXT " + long + "\n CNAME .\n", []string{"a. nxdomain"}, []string{"2: " + errLong.Error(), "3: " + errNoOwner.Error()}},
		"a cut record": {"a A 192.0.2.1\n TXT (" + long[:limits.ListLine/2] + "\n" + long[:limits.ListLine/2] + "\n A 192.0.2.2\n", []string{"a. 1 3600 [192 0 2 1]"}, []string{"2: " + errLong.Error(), "4: " + errNoOwner.Error()}},
		"an own owner": {"a A 192.0.2.1\n TXT \"x\n A 192.0.2.2\n", []string{"a. 1 3600 [192 0 2 1]", "a. 1 3600 [192 0 2 2]"}, []string{"2: " + errQuote.Error()}},
		"after a mark": {"\ufeff TXT \"x\na A 192.0.2.1\n", []string{"a. 1 3600 [192 0 2 1]"}, []string{"1: " + errQuote.Error()}},
	} {
		said, skipped, err := read(strings.NewReader(c.text))
		if err != nil || !slices.Equal(said, c.said) || !slices.Equal(skipped, c.skipped) {
			t.Errorf("%s: %v\nread    %q\nwant    %q\nskipped %q\nwant    %q", what, err, said, c.said, skipped, c.skipped)
		}
	}
}

// Names that are relative to an origin that cannot be read are not those of the one before.
func TestAWrongOriginLeavesNoOriginInForce(t *testing.T) {
	lost := "': " + errOrigin.Error()
	for what, c := range map[string]struct {
		text          string
		said, skipped []string
	}{
		"a wrong name": {"$ORIGIN rpz.\n@ SOA a. b. 1 2 3 4 5\na CNAME .\n$ORIGIN x..rpz.\n CNAME .\nb CNAME .\n@ CNAME .\nc.rpz. CNAME .\nd.rpz. CNAME d\n$ORIGIN y\n$ORIGIN z.rpz.\ne CNAME .\n",
			[]string{"a. nxdomain", "a. nxdomain", "c. nxdomain", "e.z. nxdomain"}, []string{"4: $ORIGIN: 'x..rpz.': empty label", "6: 'b" + lost, "7: '@" + lost, "9: 'd" + lost, "10: $ORIGIN: 'y" + lost}},
		"a quote":                         {"a CNAME .\n$ORIGIN \"x.\na CNAME .\nb. CNAME .\n", []string{"a. nxdomain", "b. nxdomain"}, []string{"2: " + errQuote.Error(), "3: 'a" + lost}},
		"before the zone's name is known": {"$ORIGIN x y\na.rpz. CNAME .\nrpz. SOA a. b. 1 2 3 4 5\nb.rpz. CNAME .\n", []string{"b. nxdomain"}, []string{"1: $ORIGIN: one name expected", "2: " + errOrigin.Error()}},
	} {
		said, skipped, err := read(strings.NewReader(c.text))
		if err != nil || !slices.Equal(said, c.said) || !slices.Equal(skipped, c.skipped) {
			t.Errorf("%s: %v\nread    %q\nwant    %q\nskipped %q\nwant    %q", what, err, said, c.said, skipped, c.skipped)
		}
	}
}

// endless is a file without an end.
type endless struct{ line string }

func (e endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], e.line)
	}
	return len(p), nil
}

func TestFilesThatAreTooLargeAreRefused(t *testing.T) {
	for _, line := range []string{"; comment ; comment ; comment ; comment ; comment ; comment ; comment ; comment\n", "( x x x x x x x x x x x x x x x x x x x x x x x x x", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"} {
		if _, _, err := read(endless{line}); !errors.Is(err, ErrFileSize) {
			t.Errorf("%q: %v", line[:8], err)
		}
	}
}

func TestReadingEndsWhereNothingMoreIsTaken(t *testing.T) {
	said, _, err := read(strings.NewReader("a CNAME .\nfull CNAME .\nb CNAME .\n"))
	if !errors.Is(err, errFull) || len(said) != 1 {
		t.Errorf("%v %q", err, said)
	}
	if _, _, err := read(io.MultiReader(strings.NewReader("a CNAME .\n"), broken{})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that breaks off: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// FuzzZone: whatever a file has in it, what is taken are names as DNS has them, records are
// skipped with a line of the file, and lines do not become more than they are.
func FuzzZone(f *testing.F) {
	for _, text := range []string{
		"$ORIGIN rpz.example.\n@ SOA a b ( 1 2\n 3 4 5 )\na CNAME .\n*.a CNAME *.\n b 60 IN A 192.0.2.1\n AAAA ::1\n TXT \"x;y\" z\n",
		"a CNAME rpz-passthru.\nb CNAME rpz-drop.\nc CNAME rpz-tcp-only.\nd CNAME d.\n* CNAME .\n32.1.2.0.192.rpz-ip CNAME .\n",
		"$INCLUDE x\n$GENERATE 1-9 a$ A 1.2.3.4\n$TTL 1w\n$ORIGIN " + strings.Repeat("x.", 100) + "\n" + strings.Repeat("y.", 100) + "z CNAME .\n",
		"(((\n)))\n\"\na\\\n\\010 CNAME .\n\x00\xff\n", "a ( CNAME\n . )\n", strings.Repeat("( ", 400), "\ufeff;\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := strings.Count(string(text), "\n") + 1
		records, last := 0, 0
		r := Reader{
			Take: func(r *Record) error {
				records++
				if _, err := dnsname.FromWire([]byte(r.Name)); err != nil {
					t.Errorf("%q: %v", r.Name, err)
				}
				if r.Answer == Data && (r.Type == 0 || r.RData == nil || r.TTL >= 1<<31) {
					t.Errorf("%+v", r)
				}
				return nil
			},
			Fatal: func(error) bool { return false },
			Parse: func(_ dnsname.Name, text string) (uint16, []byte, error) { return 16, []byte(text), nil },
			Skipped: func(line int, why error) {
				records++
				if line <= last || line > lines || why == nil {
					t.Errorf("line %d after %d of %d: %v", line, last, lines, why)
				}
				last = line
			},
		}
		if err := r.Read(strings.NewReader(string(text))); err != nil {
			t.Error(err)
		}
		if records > lines {
			t.Errorf("%d records in %d lines", records, lines)
		}
	})
}
