package bindings

import (
	"fmt"
	"math"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/trustanchor"
)

// anchorOptions are the fields of trust_anchors that only say how keys are to be
// followed.
type anchorOptions struct {
	insecure                   any // the list as it was given
	holdDown, refresh, removed any
	keyfile, url, ca           any
}

// installTrustAnchors makes the global trust_anchors.
func installTrustAnchors(d *Daemon) {
	const day = 24 * 3600 * 1000
	t := &anchors{d: d, o: anchorOptions{
		insecure: &luavalue.Table{}, holdDown: 30 * day, removed: 0,
		url: "https://data.iana.org/root-anchors/root-anchors.xml",
	}}
	number, path := "a number of at least 0", "text"
	d.VM.RegisterObject(script.Object{
		Name:      "trust_anchors",
		Help:      "keys that validation starts from: trust_anchors.add_file('root.keys')",
		Protected: true,
		Funcs: funcs(
			script.Func{Name: "add", Args: "'records'", Min: 1, Max: 1, Help: "add DS or DNSKEY records in zone-file format", Fn: t.add},
			script.Func{Name: "add_file", Args: "path[, readonly]", Min: 1, Max: 2, Help: "load the anchors of a zone from a file", Fn: t.addFile},
			script.Func{Name: "config", Args: "path[, readonly]", Min: 1, Max: 2, Help: "the same as add_file", Fn: t.addFile},
			script.Func{Name: "remove", Args: "name", Min: 1, Max: 1, Help: "forget the anchors of a zone", Fn: t.remove},
			script.Func{Name: "set_insecure", Args: "{ name }", Min: 1, Max: 1, Help: "names at and below which nothing is validated; replaces the former ones", Fn: t.setInsecure},
			script.Func{Name: "summary", Args: "[name]", Max: 1, Help: "the anchors in words", Fn: t.summary},
		),
		Fields: []script.Field{
			{Name: "file", Help: "assigning a path is add_file(path)", Set: t.addFile},
			{Name: "negative", Help: "assigning a list is set_insecure(list)", Get: t.get(&t.o.insecure), Set: t.setInsecure},
			{Name: "insecure", Help: "names at and below which nothing is validated", Get: t.get(&t.o.insecure)},
			{Name: "keysets", Help: "all keys by the wire name of their zone", Get: func(*script.Call) (any, error) { return keysets(d.Anchors.Snapshot()), nil }},
			t.option("hold_down_time", "milliseconds until a new key is trusted (RFC 5011)", &t.o.holdDown, isTime, number, false),
			t.option("refresh_time", "milliseconds between two looks at a zone's keys; nil: as RFC 5011 says", &t.o.refresh, isTime, number, true),
			t.option("keep_removed", "how many removed keys are remembered", &t.o.removed, isTime, number, false),
			t.option("keyfile_default", "key file that is used when no other anchor is given; nil: none", &t.o.keyfile, isText, path, true),
			t.option("bootstrap_url", "where the root's first anchors come from", &t.o.url, isText, path, true),
			t.option("bootstrap_ca", "file with the certificate of that place", &t.o.ca, isText, path, true),
		},
	})
}

func isTime(v any) bool {
	n, ok := v.(float64)
	return ok && n >= 0 && !math.IsInf(n, 0)
}

func isText(v any) bool { _, ok := v.(string); return ok }

type anchors struct {
	d *Daemon
	o anchorOptions
}

func (t *anchors) get(v *any) func(*script.Call) (any, error) {
	return func(*script.Call) (any, error) { return *v, nil }
}

func (t *anchors) option(name, help string, v *any, valid func(any) bool, want string, optional bool) script.Field {
	return script.Field{Name: name, Help: help, Get: t.get(v), Set: func(c *script.Call) error {
		value := c.Arg(1)
		if !(optional && value == nil) && !valid(value) {
			c.TypeError(1, want)
		}
		*v = value
		return nil
	}}
}

func (t *anchors) add(c *script.Call) error {
	if err := t.d.Anchors.Add(text(c, 1)); err != nil {
		return fmt.Errorf("trust_anchors.add: %w", err)
	}
	return c.Return(true)
}

// addFile serves add_file(path[, readonly]) and the assignment to file.
func (t *anchors) addFile(c *script.Call) error {
	set, replaced, err := t.d.Anchors.AddFile(text(c, 1), c.OptBool(2, false))
	if err != nil {
		return fmt.Errorf("trust_anchors.add_file: %w", err)
	}
	if replaced {
		t.d.Log.Warn(fmt.Sprintf("[ ta ] the trust anchors of %s were set already; they are replaced by those of %s", set.Owner, set.File))
	}
	if set.Trusted() == 0 {
		t.d.Log.Warn(fmt.Sprintf("[ ta ] no key in %s is trusted", set.File))
	}
	return c.Return()
}

func (t *anchors) remove(c *script.Call) error {
	owner, err := trustanchor.ParseName(text(c, 1))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return c.Return(t.d.Anchors.Remove(owner))
}

func (t *anchors) setInsecure(c *script.Call) error {
	list, err := textList(c.Table(1))
	if err != nil {
		c.ArgError(1, "a list of names expected")
	}
	names := make([]dnsname.Name, len(list))
	for i, text := range list {
		if names[i], err = trustanchor.ParseName(text); err != nil {
			c.ArgError(1, "%v", err)
		}
	}
	given := make([]any, len(list))
	for i := range list {
		given[i] = list[i]
	}
	t.d.Anchors.SetInsecure(names)
	t.o.insecure = luavalue.List(given...)
	return c.Return()
}

func (t *anchors) summary(c *script.Call) error {
	s := t.d.Anchors.Snapshot()
	owners := s.Owners()
	if !c.IsNil(1) {
		owner, err := trustanchor.ParseName(text(c, 1))
		if err != nil {
			c.ArgError(1, "%v", err)
		}
		if s.Sets[owner] == nil {
			return fmt.Errorf("there are no trust anchors for %s", owner)
		}
		owners = []dnsname.Name{owner}
	}
	var lines []string
	for _, owner := range owners {
		lines = append(lines, s.Sets[owner].Summary())
	}
	if list, err := textList(t.o.insecure); err == nil && c.IsNil(1) && len(list) > 0 {
		lines = append(lines, "negative trust anchors: "+strings.Join(list, ", "))
	}
	if len(lines) == 0 {
		lines = []string{"no trust anchors"}
	}
	return c.Return(strings.Join(lines, "\n"))
}

// keysets shows all keys as tables of records.
func keysets(s *trustanchor.Snapshot) any {
	out := &luavalue.Table{}
	for _, owner := range s.Owners() {
		set := s.Sets[owner]
		t := &luavalue.Table{}
		for i := range set.Keys {
			k := &set.Keys[i]
			rr := (&luavalue.Table{}).Add("owner", string(owner)).Add("ttl", float64(k.TTL)).Add("class", 1.0).Add("type", float64(k.Type)).
				Add("rdata", string(k.RData)).Add("key_tag", float64(k.Tag)).Add("state", string(k.State))
			if k.Timer != "" {
				rr.Add("timer", k.Timer)
			}
			t.Add(float64(i+1), rr)
		}
		t.Add("owner", string(owner))
		if set.File != "" {
			t.Add("filename", set.File)
		}
		out.Add(string(owner), t)
	}
	return out
}
