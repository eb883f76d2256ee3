// Package anchors is the global trust_anchors: which keys signatures are checked with, which
// names are left out of validation, and where keys are kept and fetched from. What it controls
// is Anchors, which the worker implements.
package anchors

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/trustanchor"
)

// A Host is what the global controls.
type Host struct {
	VM      *script.VM
	Anchors Anchors
	Clock   *clock.Clock
	Group   *safe.Group
}

// Anchors are the trust anchors of the worker.
type Anchors interface {
	Snapshot() *trustanchor.Snapshot
	Add(text string) error
	// AddFile loads a key file and tells the log what is trusted. Where the file is to
	// be kept up to date and does not exist, it takes as long as fetching the root's
	// anchors takes.
	AddFile(ctx context.Context, path string, readonly bool) error
	Remove(owner dnsname.Name) bool
	SetNegatives(list []trustanchor.Negative)
	// SetDefault says which key file is read where the configuration gives no anchors
	// of the root; "" for none.
	SetDefault(file string)
	Timing() trustanchor.Timing
	SetTiming(fn func(*trustanchor.Timing))
	Source() trustanchor.Source
	SetSource(fn func(*trustanchor.Source))
}

// anchors are the global trust_anchors.
type anchors struct {
	d         *Host
	keyfile   any
	negatives []trustanchor.Negative
	given     []any // the negatives as they were given
}

// Install makes the global trust_anchors.
func Install(d *Host) {
	t := &anchors{d: d}
	d.VM.RegisterObject(script.Object{
		Name:      "trust_anchors",
		Protected: true,
		Funcs: []script.Func{
			{Name: "add", Args: "'records'", Min: 1, Max: 1, Fn: t.add},
			{Name: "add_file", Args: "path[, readonly]", Min: 1, Max: 2, Fn: t.addFile},
			{Name: "config", Args: "path[, readonly]", Min: 1, Max: 2, Fn: t.addFile},
			{Name: "remove", Args: "name", Min: 1, Max: 1, Fn: t.remove},
			{Name: "set_insecure", Args: "{ name | { name =, reason =, expires = } }", Min: 1, Max: 1,
				Fn: t.setInsecure},
			{Name: "summary", Args: "[name]", Max: 1, Fn: t.summary},
		},
		Fields: []script.Field{
			{Name: "file", Set: t.addFile},
			{Name: "negative", Get: t.getInsecure, Set: t.setInsecure},
			{Name: "insecure", Get: t.getInsecure},
			{Name: "keysets", Get: func(*script.Call) (any, error) { return keysets(d.Anchors.Snapshot()), nil }},
			t.duration("hold_down_time", func(o *trustanchor.Timing) *time.Duration { return &o.HoldDown }, false),
			t.duration("refresh_time", func(o *trustanchor.Timing) *time.Duration { return &o.Refresh }, true),
			t.keepRemoved(),
			{Name: "keyfile_default", Get: t.get(&t.keyfile), Set: t.setKeyfile},
			t.source("bootstrap_url", func(s *trustanchor.Source) *string { return &s.URL }),
			t.source("bootstrap_ca", func(s *trustanchor.Source) *string { return &s.CA }),
		},
	})
}

// duration is a field in milliseconds; nil stands for 0 where there may be none.
func (t *anchors) duration(name string, of func(*trustanchor.Timing) *time.Duration, optional bool) script.Field {
	return script.Field{
		Name: name,
		Get: func(*script.Call) (any, error) {
			timing := t.d.Anchors.Timing()
			if d := *of(&timing); d != 0 || !optional {
				return float64(d) / float64(time.Millisecond), nil
			}
			return nil, nil
		},
		Set: func(c *script.Call) error {
			value := c.Arg(1)
			if !(optional && value == nil) && !isTime(value) {
				c.TypeError(1, "a number of at least 0")
			}
			ms, _ := value.(float64)
			d := inMilliseconds(ms)
			t.d.Anchors.SetTiming(func(timing *trustanchor.Timing) { *of(timing) = d })
			return nil
		},
	}
}

func (t *anchors) keepRemoved() script.Field {
	return script.Field{
		Name: "keep_removed",
		Get:  func(*script.Call) (any, error) { return float64(t.d.Anchors.Timing().KeepRemoved), nil },
		Set: func(c *script.Call) error {
			value := c.Arg(1)
			if n, ok := value.(float64); !ok || !(n >= 0 && n == math.Trunc(n)) || math.IsInf(n, 0) {
				c.TypeError(1, "a whole number of at least 0")
			}
			n := int(min(value.(float64), math.MaxInt32))
			t.d.Anchors.SetTiming(func(timing *trustanchor.Timing) { timing.KeepRemoved = n })
			return nil
		},
	}
}

// setKeyfile chooses the file, or, with nil, that nothing is trusted by default.
func (t *anchors) setKeyfile(c *script.Call) error {
	value := c.Arg(1)
	if value != nil && !isText(value) {
		c.TypeError(1, "text")
	}
	file, _ := value.(string)
	t.keyfile = value
	t.d.Anchors.SetDefault(file)
	return nil
}

func isText(v any) bool { _, ok := v.(string); return ok }

func (t *anchors) get(v *any) func(*script.Call) (any, error) {
	return func(*script.Call) (any, error) { return *v, nil }
}

// source is a field about where the first anchors are fetched; nil stands for what
// is built in.
func (t *anchors) source(name string, of func(*trustanchor.Source) *string) script.Field {
	return script.Field{
		Name: name,
		Get: func(*script.Call) (any, error) {
			from := t.d.Anchors.Source()
			if text := *of(&from); text != "" {
				return text, nil
			}
			return nil, nil
		},
		Set: func(c *script.Call) error {
			value := c.Arg(1)
			if value != nil && !isText(value) {
				c.TypeError(1, "text")
			}
			text, _ := value.(string)
			t.d.Anchors.SetSource(func(s *trustanchor.Source) { *of(s) = text })
			return nil
		},
	}
}

func (t *anchors) add(c *script.Call) error {
	if err := t.d.Anchors.Add(c.Text(1)); err != nil {
		return fmt.Errorf("trust_anchors.add: %w", err)
	}
	return c.Return(true)
}

// addFile serves add_file(path[, readonly]) and the assignment to file. It steps
// aside, because the root's anchors may have to be fetched.
func (t *anchors) addFile(c *script.Call) error {
	path, readonly, ctx := c.Text(1), c.OptBool(2, false), c.Context()
	var err error
	done := make(chan struct{})
	t.d.Group.Go("trust anchors", func() {
		defer close(done)
		err = t.d.Anchors.AddFile(ctx, path, readonly)
	})
	if failed := c.StepAside(done); failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("trust_anchors.add_file: %w", err)
	}
	return c.Return()
}

func (t *anchors) remove(c *script.Call) error {
	owner, err := trustanchor.ParseName(c.Text(1))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return c.Return(t.d.Anchors.Remove(owner))
}

// setInsecure takes names, or tables that say more than a name.
func (t *anchors) setInsecure(c *script.Call) error {
	list, given, err := negatives(c.Table(1), t.d.Clock.Now())
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	t.d.Anchors.SetNegatives(list)
	t.negatives, t.given = list, given
	return c.Return()
}

// getInsecure is the list as it was given, without what has ended.
func (t *anchors) getInsecure(*script.Call) (any, error) {
	s, list := t.d.Anchors.Snapshot(), []any{}
	for i := range t.negatives {
		if s.Insecure[t.negatives[i].Name] != nil {
			list = append(list, t.given[i])
		}
	}
	return luavalue.List(list...), nil
}

func (t *anchors) summary(c *script.Call) error {
	s := t.d.Anchors.Snapshot()
	owners := s.Owners()
	if !c.IsNil(1) {
		owner, err := trustanchor.ParseName(c.Text(1))
		if err != nil {
			c.ArgError(1, "%v", err)
		}
		if s.Sets[owner] == nil {
			return fmt.Errorf("trust_anchors.summary: there are no trust anchors for %s", owner)
		}
		owners = []dnsname.Name{owner}
	}
	var lines []string
	for _, owner := range owners {
		lines = append(lines, s.Sets[owner].Summary())
	}
	if c.IsNil(1) {
		for _, n := range s.Negatives() {
			lines = append(lines, negativeText(n))
		}
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
			if k.Timer != 0 {
				rr.Add("timer", float64(k.Timer))
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
