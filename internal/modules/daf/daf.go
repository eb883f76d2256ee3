package daf

import (
	"fmt"
	"slices"

	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/rules"
)

// Config is what the module uses of policy.
type Config struct {
	// Rules are where its rules stand.
	Rules interface {
		Add(r *rules.Rule, post bool) *rules.Entry
		Delete(id int) bool
	}
	Peers *rules.Peers
	// Mirror is the action that sends a copy of a question to an address.
	Mirror func(to string) (*rules.Action, error)
	// Data reads a type and its data as zone files have them.
	Data func(text string) (t uint16, data []byte, err error)
}

// DAF is the rules of a worker. They outlive the loading and unloading of the module. Its
// methods are for one goroutine at a time.
type DAF struct {
	config Config
	list   []*rule
	loaded bool
}

// rule is one of them.
type rule struct {
	text  string
	entry *rules.Entry
	off   bool // switched off by the operator
}

// New makes a DAF without rules.
func New(c Config) *DAF { return &DAF{config: c} }

// add adds a rule, unless there is one of the same text.
func (d *DAF) add(text string) ([]any, error) {
	text = normal(text)
	d.sweep()
	if i := slices.IndexFunc(d.list, func(r *rule) bool { return r.text == text }); i >= 0 {
		return []any{d.list[i].table()}, nil
	}
	made, post, err := d.parse(text)
	if err != nil {
		return nil, fmt.Errorf("daf.add: '%s': %w", text, err)
	}
	r := &rule{text: text, entry: d.config.Rules.Add(made, post)}
	d.list = append(d.list, r)
	return []any{r.table()}, nil
}

// sweep drops rules that were taken out by their ID, as any rule of policy.
func (d *DAF) sweep() {
	d.list = slices.DeleteFunc(d.list, func(r *rule) bool { return r.entry.Deleted() })
}

// table is a rule as scripts see it.
func (r *rule) table() *luavalue.Table {
	return (&luavalue.Table{}).Add("id", float64(r.entry.ID)).Add("info", r.text).Add("count", float64(r.entry.Count())).Add("active", !r.off)
}

// rules are all of them, by their IDs.
func (d *DAF) rules() *luavalue.Table {
	d.sweep()
	t := &luavalue.Table{}
	for _, r := range d.list {
		t.Pairs = append(t.Pairs, luavalue.Pair{Key: float64(r.entry.ID), Value: r.table()})
	}
	return t
}

func (d *DAF) find(id float64) (at int) {
	d.sweep()
	return slices.IndexFunc(d.list, func(r *rule) bool { return float64(r.entry.ID) == id })
}

func (d *DAF) get(id float64) ([]any, error) {
	if at := d.find(id); at >= 0 {
		return []any{d.list[at].table()}, nil
	}
	return []any{nil}, nil
}

// del takes out a rule and tells whether there was one.
func (d *DAF) del(id float64) ([]any, error) {
	at := d.find(id)
	if at < 0 {
		return []any{false}, nil
	}
	d.config.Rules.Delete(d.list[at].entry.ID)
	d.list = slices.Delete(d.list, at, at+1)
	return []any{true}, nil
}

// clear takes out all rules.
func (d *DAF) clear() ([]any, error) {
	for _, r := range d.list {
		d.config.Rules.Delete(r.entry.ID)
	}
	d.list = nil
	return []any{true}, nil
}

// toggle switches a rule off and on, or as on says; it tells whether there is such a rule.
func (d *DAF) toggle(id float64, on any) ([]any, error) {
	at := d.find(id)
	if at < 0 {
		return []any{false}, nil
	}
	r := d.list[at]
	if is, given := on.(bool); given {
		r.off = !is
	} else {
		r.off = !r.off
	}
	d.apply(r)
	return []any{true}, nil
}

// apply puts a rule in force or not.
func (d *DAF) apply(r *rule) { r.entry.Suspend(r.off || !d.loaded) }

// configure adds the rules of a list, all or none.
func (d *DAF) configure(value any) error {
	t, err := module.Table("options", "a list of rules").Or(&luavalue.Table{}).Value(value)
	if err != nil {
		return err
	}
	for _, v := range t.Values() {
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("a rule is a text, as 'qname = bad.example deny'")
		}
		if _, _, err := d.parse(text); err != nil {
			return fmt.Errorf("'%s': %w", text, err)
		}
	}
	for _, v := range t.Values() {
		if _, err := d.add(v.(string)); err != nil {
			return err
		}
	}
	return nil
}
