// Package renumber is the module renumber: addresses of some networks in answers become those
// of others.
//
// It changes an answer before it is kept as a whole, so that cached answers cost nothing more:
// those that were made by other networks are kept apart (Shape). Records stay in the cache as
// they came. What the operator says himself, by hints or by rules with answers, stays as it
// is. Signatures of what was changed are left out, and it is not called secure.
package renumber

import (
	"errors"
	"fmt"
	"sync/atomic"

	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/rules"
)

type renumber struct{ now atomic.Pointer[inForce] }

// inForce is what is rewritten, and the number by which answers are kept apart: both change at
// once, so that no answer is kept for those who have another list (resolve.Request.InForce).
type inForce struct {
	list  rules.Rewrites
	shape uint64
}

func (n *renumber) shape() uint64 { return n.now.Load().shape }

// judge changes an answer.
func (n *renumber) judge(r *resolve.Request) {
	n.now.Load().list.Apply(&r.Result, func(s *resolve.Set) bool {
		_, own := r.Owned(resolve.Question{Name: s.Owner, Type: s.Type, Class: s.Class}, true)
		return own
	})
}

// config takes { { 'subnet', 'target' }, … }, in the place of what was before.
func (n *renumber) config(value any) error {
	t, err := module.Table("options", "a list of { 'subnet', 'target' }").Or(&luavalue.Table{}).Value(value)
	if err != nil {
		return err
	}
	var list rules.Rewrites
	for i, v := range t.Values() {
		one, err := rewriteOf(v)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
		list = append(list, one)
	}
	n.now.Store(&inForce{list, list.Digest()})
	return nil
}

func rewriteOf(v any) (w rules.Rewrite, err error) {
	pair, ok := v.(*luavalue.Table)
	if !ok {
		return w, errors.New("{ 'subnet', 'target' } expected")
	}
	from, ok := pair.Get(1.0).(string)
	to, is := pair.Get(2.0).(string)
	if !ok || !is {
		return w, errors.New("{ 'subnet', 'target' } expected")
	}
	return rules.NewRewrite(from, to)
}
