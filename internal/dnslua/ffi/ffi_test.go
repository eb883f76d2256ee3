package ffi_test

import (
	"strings"
	"testing"
	"time"

	"kresd/internal/dnslua/dnsluatest"
)

func TestWhatScriptsForLuaJITCall(t *testing.T) {
	w := dnsluatest.New(t)
	w.Views.Mono = func() time.Duration { return 1500 * time.Millisecond }
	w.Run(`
		local ffi = require('ffi')
		assert(ffi == require('ffi') and rawget(_G, 'ffi') == nil and ffi.os == 'Linux')
		local pkt, rr = kres.packet(512), kres.rrset()
		pkt:ad(true)
		ffi.C.kr_pkt_make_auth_header(pkt)
		assert(pkt:aa() and not pkt:ad())
		assert(kres.pkt_t(pkt) == pkt and ffi.cast('knot_pkt_t *', pkt) == pkt and ffi.cast('const char *', 'x') == 'x' and ffi.cast('void *', nil) == nil)
		assert(ffi.istype(kres.packet, pkt) and not ffi.istype(kres.packet, rr) and ffi.istype(kres.rrset, rr) and ffi.istype('knot_rrset_t *', rr) and not ffi.istype(kres.rrset, 'x'))
		assert(ffi.gc(pkt, function() end) == pkt and ffi.C.free(pkt) == nil)
		local name, zone = todname('www.example.com'), todname('example.com')
		assert(ffi.C.knot_dname_is_equal(name, todname('WWW.example.com')) and not ffi.C.knot_dname_is_equal(name, zone))
		assert(ffi.C.knot_dname_in_bailiwick(name, zone) == 1 and ffi.C.knot_dname_in_bailiwick(zone, zone) == 0 and ffi.C.knot_dname_in_bailiwick(zone, name) < 0 and ffi.C.knot_dname_in_bailiwick(todname('a.b.c.d'), zone) < 0)
		assert(ffi.C.knot_dname_labels(name, nil) == 3 and ffi.C.knot_dname_labels('\0') == 0)
		local flags = kres.mk_qflags('TCP')
		ffi.C.kr_qflags_set(flags, kres.mk_qflags{ 'STUB', 'NO_CACHE' })
		ffi.C.kr_qflags_clear(flags, kres.mk_qflags('TCP'))
		assert(flags.STUB and flags.NO_CACHE and not flags.TCP)
		assert(ffi.C.kr_now() == 1500)
		assert(ffi.C.KR_RANK_SECURE == kres.rank.SECURE)
		local a, b = kres.str2ip('192.0.2.255'), kres.str2ip('192.0.3.0')
		assert(ffi.C.kr_bitcmp(a, b, 23) == 0 and ffi.C.kr_bitcmp(a, b, 24) < 0 and ffi.C.kr_bitcmp(b, a, 32) > 0 and ffi.C.kr_bitcmp(a, a, 32) == 0 and ffi.C.kr_bitcmp(a, b, 0) == 0)
		local memory = ffi.new('char[16]')
		assert(#memory == 16 and memory[0] == 0)
		assert(ffi.C.kr_straddr_subnet(memory, '192.0.2.0/24') == 24 and ffi.string(memory, 4) == '\192\0\2\0' and ffi.string(memory) == '\192')
		assert(ffi.C.kr_straddr_subnet(memory, '2001:db8::1') == 128 and ffi.string(memory, 16) == kres.str2ip('2001:db8::1'))
		assert(ffi.C.kr_straddr_subnet(memory, 'x') < 0 and ffi.C.kr_straddr_subnet(ffi.new('char[4]'), '::1/128') < 0)
		assert(ffi.C.kr_straddr_family('192.0.2.1') == 2 and ffi.C.kr_straddr_family('::1') == 10 and ffi.C.kr_straddr_family('10.0.0.0/8') == 2 and ffi.C.kr_straddr_family('2001:db8::/32') == 10 and ffi.C.kr_straddr_family('x') < 0)
		local key = kres.parse_rdata{ 'DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=' }[1]
		assert(ffi.C.kr_dnssec_key_tag(kres.type.DNSKEY, key, #key) == 20326 and ffi.C.kr_dnssec_key_tag(kres.type.DS, '\1\2\8\2x', 5) == 258 and ffi.C.kr_dnssec_key_tag(kres.type.A, key, 4) < 0)
		assert(ffi.string('abc') == 'abc' and ffi.string('abc', 2) == 'ab')
		memory[1] = 65
		memory[0] = -1
		assert(memory[1] == 65 and memory[0] == 255)
		ffi.copy(memory, 'xyz')
		assert(ffi.string(memory) == 'xyz')
		ffi.copy(memory, 'ABCDEF', 2)
		assert(ffi.string(memory) == 'ABz')
		local other = ffi.new('uint8_t[?]', 3)
		ffi.copy(other, memory, 3)
		assert(ffi.string(other) == 'ABz' and #other == 3)
		local calls = 0
		local cb = ffi.cast('trace_callback_f', function(n) calls = calls + n return 'done' end)
		assert(cb(5) == 'done' and calls == 5 and cb:free() == nil)
		cb:set(function() return 'other' end)
		assert(cb() == 'other' and type(cb) == 'cdata')
		assert(kres.packet(512, pkt.wire):towire() == pkt:towire() and ffi.string(pkt.wire, pkt.size) == pkt:towire())
	`)
}

// What is not there is an error that names it.
func TestWhatTheFFIDoesNotHave(t *testing.T) {
	w := dnsluatest.New(t)
	for use, want := range map[string]string{
		"ffi.cdef('int x;')":                    "ffi.cdef is not in this version",
		"ffi.load('z')":                         "ffi.load is not in this version",
		"ffi.metatype('x', {})":                 "ffi.metatype is not in this version",
		"ffi.C.kr_rplan_pop(nil)":               "ffi.C.kr_rplan_pop is not in this version",
		"ffi.C.printf('x')":                     "ffi.C.printf is not in this version",
		"ffi.new('struct stat')":                "the type 'struct stat' is not in this version",
		"ffi.new('char[999999999]')":            "an array of at most",
		"ffi.new('char[?]', -1)":                "bad argument",
		"ffi.cast('uint32_t', 5)":               "a cast to 'uint32_t' is not in this version",
		"ffi.cast('kr_stale_cb', 5)":            "a cast to 'kr_stale_cb' is not in this version",
		"ffi.istype('int', 5)":                  "a type expected",
		"ffi.istype(print, 5)":                  "a type expected",
		"ffi.string(5)":                         "string expected",
		"ffi.string('abc', 4)":                  "bad argument",
		"ffi.string(nil)":                       "string expected",
		"ffi.copy(ffi.new('char[2]'), 'abc')":   "there is room for 2 octets",
		"ffi.copy(kres.packet(12).wire, 'abc')": "can only be read",
		"ffi.new('char[2]')[2]":                 "there are 2 octets",
		"ffi.C.kr_bitcmp('abcd', 'abc', 32)":    "bad argument",
		"ffi.C.knot_dname_labels('abc')":        "is no name in wire form",
	} {
		got := w.Eval("local ffi = require('ffi') return " + use)
		if !strings.Contains(got, "ERROR") || !strings.Contains(got, want) {
			t.Errorf("%s\n got %q\nwant %q", use, got, want)
		}
	}
}
