// Package dnsluatest makes machines that have the table kres, and requests to look at, for
// the tests of the packages below dnslua.
package dnsluatest

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/dnslua"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// World is a machine with the table kres.
type World struct {
	t     *testing.T
	vm    *command.Interpreter
	Views *requests.Views
	// Kept is the function that the script has given keep().
	Kept *script.Ref
	out  bytes.Buffer
}

// New makes one.
func New(t *testing.T) *World {
	t.Helper()
	w := &World{t: t}
	vm, err := command.New(script.Options{Stdout: &w.out, OnPanic: func(name string, value any, stack []byte) {
		t.Errorf("%s panics: %v\n%s", name, value, stack)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	w.vm, w.Views = vm, requests.NewViews(vm.VM)
	w.Do(func(*script.Call) error {
		dnslua.Install(vm.VM, w.Views, nil, &terms.MissedConstant{})
		vm.Register(script.Func{Name: "keep", Min: 1, Max: 1, Fn: func(c *script.Call) error { w.Kept = c.Function(1); return nil }},
			script.Func{Name: "todname", Min: 1, Max: 1, Fn: w.Views.Refused.ToWire})
		return nil
	})
	return w
}

// Do runs fn on the machine.
func (w *World) Do(fn func(c *script.Call) error) {
	w.t.Helper()
	if err := w.vm.Do(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// Eval is what the console shows; errors begin with "ERROR ".
func (w *World) Eval(command string) string {
	out, isErr := w.vm.Eval(context.Background(), command)
	if isErr {
		return "ERROR " + out
	}
	return out
}

// A Step is a command and what it shows. An answer that ends in … stands for any rest.
type Step [2]string

// Expect runs commands in order and compares what they show.
func (w *World) Expect(steps ...Step) {
	w.t.Helper()
	for _, s := range steps {
		got := w.Eval(s[0])
		if prefix, open := strings.CutSuffix(s[1], "…"); got != s[1] && !(open && strings.HasPrefix(got, prefix)) {
			w.t.Errorf("%s\n got %q\nwant %q", s[0], got, s[1])
		}
	}
}

// Run runs a script that asserts.
func (w *World) Run(text string) {
	w.t.Helper()
	if err := w.vm.RunText(context.Background(), "script", text); err != nil {
		w.t.Error(err)
	}
}

// Show runs a script while it may look at a request, its local req.
func (w *World) Show(req *resolve.Request, post bool, text string) error {
	w.t.Helper()
	w.Run("keep(function(req)\n" + text + "\nend)")
	return w.Views.Show(req, post, func(_ *script.Call, h *script.Handle) error {
		_, err := w.Kept.Call(h)
		return err
	})
}

// Shown is Show for a script that asserts.
func (w *World) Shown(req *resolve.Request, post bool, text string) {
	w.t.Helper()
	if err := w.Show(req, post, text); err != nil {
		w.t.Error(err)
	}
}

// MustName is a name that a test writes.
func MustName(t *testing.T, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Finished is a request for the address of a name with an answer.
func Finished(t *testing.T, name string) *resolve.Request {
	req := &resolve.Request{
		Question: resolve.Question{Name: MustName(t, name), Type: wire.TypeA, Class: wire.ClassIN}, RD: true, ID: 7, DO: true, Now: 1000,
		Client: netip.MustParseAddrPort("192.0.2.9:5353"), Local: netip.MustParseAddrPort("127.0.0.1:53"), Transport: transport.Transport{Kind: transport.TCP},
	}
	cookie := []byte{0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}
	req.Message = wire.AppendQuery(nil, 4711, wire.FlagRD, []byte(req.Name), req.Type, req.Class, 1400, true, cookie)
	sig := make([]byte, wire.SigFixed+1)
	sig[1] = byte(wire.TypeA)
	req.Result = resolve.Result{EDE: ede.None, Rank: rank.Secure | rank.Auth, Answer: []resolve.Set{{
		Rank: rank.Secure | rank.Auth, Cached: true,
		RRset: wire.RRset{Owner: req.Name, Type: wire.TypeA, Class: wire.ClassIN, TTL: 3, Data: [][]byte{{192, 0, 2, 1}, {192, 0, 2, 2}}, Sigs: [][]byte{sig}},
	}}}
	return req
}
