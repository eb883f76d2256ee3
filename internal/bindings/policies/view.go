package policies

import (
	"encoding/base64"
	"fmt"

	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
	"kresd/internal/modules/view"
	"kresd/internal/rules"
	"kresd/internal/script"
)

// views is the global view, whose rules and actions are those of policy.
type views struct{ *policies }

// object is the global.
func (v views) object() script.Object {
	list := script.Field{Name: "rules", Get: func(*script.Call) (any, error) { return v.entries(v.d.View.Rules()), nil }}
	return withColon(script.Object{Name: "view", Protected: true, Fields: []script.Field{list}, Funcs: []script.Func{
		{Name: "addr", Args: "subnet, rule[, destination]", Min: 2, Max: 3, Fn: v.addr},
		{Name: "tsig", Args: "key, rule", Min: 2, Max: 2, Fn: v.tsig},
		{Name: "tsig_key", Args: "key[, secret]", Min: 1, Max: 2, Fn: v.tsigKey},
		{Name: "rule_src", Args: "action, subnet", Min: 2, Max: 2, Fn: v.rule("rule_src", false)},
		{Name: "rule_dst", Args: "action, subnet", Min: 2, Max: 2, Fn: v.rule("rule_dst", true)},
		{Name: "del", Args: "id", Min: 1, Max: 1,
			Fn: func(c *script.Call) error { return c.Return(v.d.View.Delete(v.idArg(c, 1))) }},
	}})
}

func (v views) addr(c *script.Call) error {
	of, err := rules.ParseSubnet(c.Text(1))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return c.Return(v.entryHandle(v.d.View.Addr(of, v.ruleArg(c, 2, false), c.OptBool(3, false))))
}

func (v views) tsig(c *script.Call) error {
	key := keyName(c)
	e, checked := v.d.View.TSIG(key, v.ruleArg(c, 2, false))
	if !checked {
		v.d.Log.Warn(fmt.Sprintf("%sview.tsig: everybody can sign with the key '%s', as nothing but its name is compared; view.tsig_key(key, secret) before this has signatures checked", c.Position(), key))
	}
	return c.Return(v.entryHandle(e))
}

// tsigKey takes the secret of a key, in base64 as other programs have it.
func (v views) tsigKey(c *script.Call) error {
	key := keyName(c)
	if c.IsNil(2) {
		v.d.View.SetKey(key, nil)
		return nil
	}
	secret, err := base64.StdEncoding.DecodeString(c.Text(2))
	if err != nil || len(secret) == 0 {
		c.ArgError(2, "the secret of a key in base64 expected")
	}
	v.d.View.SetKey(key, secret)
	return nil
}

// keyName is the name of a key in argument 1, in wire form or as people write it.
func keyName(c *script.Call) dnsname.Name {
	text := c.Text(1)
	if n, err := terms.WireName(text); err == nil {
		return n
	}
	n, err := dnsname.Parse(text)
	if err != nil {
		c.ArgError(1, "'%s' is no name of a key: %v", text, err)
	}
	return n
}

// rule makes a rule for policy.add that is for everything that some clients ask.
func (v views) rule(name string, local bool) func(c *script.Call) error {
	return func(c *script.Call) error {
		a := v.actionArg(c, 1)
		of, err := rules.ParseSubnet(c.Text(2))
		if err != nil {
			c.ArgError(2, "%v", err)
		}
		words := fmt.Sprintf("view.%s(%s, %s)", name, a.Text(), rules.Quoted(of.String()))
		return c.Return(&script.Handle{Class: v.policies.rule, Value: &rules.Rule{Filter: rules.All().If(view.Within(of, local)), Action: a, Words: words}})
	}
}
