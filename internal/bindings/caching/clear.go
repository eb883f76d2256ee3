package caching

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// clearer is cache.clear(), which removes in chunks: one now, the rest by timer,
// so that no command holds the worker.
type clearer struct {
	d *Host
}

// clearing is one call of cache.clear().
type clearing struct {
	name     dnsname.Name
	exact    bool
	rrtype   *uint16
	chunk    int
	callback *script.Ref
	round    int
}

const defaultContinues = "; the default callback will continue asynchronously"

func (k clearer) install() {
	k.d.VM.Register(script.Func{
		Name: "cache.clear", Args: "[name[, exact_name[, rr_type[, chunk_size[, callback[, prev_state]]]]]]", Max: 6, Fn: k.call,
	})
}

func (k clearer) call(c *script.Call) error {
	if !k.d.Cache.IsOpen() {
		return ErrClosed
	}
	if c.IsNil(1) || (c.Text(1) == "." && !c.OptBool(2, false)) {
		return k.everything(c)
	}
	job, err := readClearing(c)
	if err != nil {
		return err
	}
	if job.rrtype != nil {
		n, err := k.d.Cache.Remove(job.name, true, job.rrtype, math.MaxInt32)
		if err != nil {
			return err
		}
		return c.Return((&luavalue.Table{}).Add("count", float64(n)))
	}
	result, err := k.chunk(job)
	if err != nil {
		return err
	}
	if job.callback == nil {
		k.then(job, result)
		return c.Return(result)
	}
	values, err := job.callback.Call(c.Ref(1), job.exact, nil, job.chunk, job.callback, c.Ref(6), result)
	if err != nil {
		return err
	}
	return c.Return(values...)
}

func (k clearer) everything(c *script.Call) error {
	n, err := k.d.Cache.Clear()
	if err != nil {
		return err
	}
	return c.Return((&luavalue.Table{}).Add("count", float64(n)))
}

// readClearing checks the arguments in the order of the manual.
func readClearing(c *script.Call) (*clearing, error) {
	job := &clearing{chunk: limits.ClearChunk}
	var err error
	if job.name, err = dnsname.Parse(c.Text(1)); err != nil {
		return nil, fmt.Errorf("cache.clear: bad name '%s': %w", c.String(1), err)
	}
	job.exact = c.OptBool(2, false)
	c.NotNil(3, "a type expected, such as kres.type.AAAA")
	if !c.IsNil(3) {
		t := uint16(c.Int(3, 1, math.MaxUint16))
		job.rrtype = &t
		if !job.exact {
			return nil, errors.New("cache.clear: rr_type needs exact_name = true")
		}
		if !c.IsNil(4) || !c.IsNil(5) {
			return nil, errors.New("cache.clear: rr_type goes neither with chunk_size nor with callback")
		}
	}
	if !c.IsNil(4) {
		job.chunk = chunkSize(c, 4)
	}
	if !c.IsNil(5) {
		job.callback = c.Function(5)
	} else if !c.IsNil(6) {
		if r, ok := c.Table(6).Get("round").(float64); ok && r >= 1 && r < math.MaxInt32 {
			job.round = int(r)
		}
	}
	return job, nil
}

// chunkSize is a number of entries; math.huge stands for all.
func chunkSize(c *script.Call, i int) int {
	n := c.Number(i)
	if !(n >= 1) {
		c.ArgError(i, "a positive number expected")
	}
	if n != math.Trunc(n) { // math.huge is its own whole
		c.ArgError(i, "a whole number expected, got %.14g", n)
	}
	return int(min(n, math.MaxInt32))
}

// chunk removes one chunk and tells what happened.
func (k clearer) chunk(job *clearing) (*luavalue.Table, error) {
	out := &luavalue.Table{}
	if job.callback == nil {
		if apex := k.d.Cache.Apex(job.name); apex != job.name {
			out.Add("not_apex", fmt.Sprintf("to clear proofs of non-existence call cache.clear('%s')", apex))
			out.Add("subtree", apex.String())
		}
	}
	n, err := k.d.Cache.Remove(job.name, job.exact, nil, job.chunk)
	if err != nil {
		return nil, err
	}
	out.Add("count", float64(n))
	if n == job.chunk {
		text := "chunk size limit reached"
		if job.callback == nil {
			text += defaultContinues
		}
		out.Add("chunk_limit", text)
	}
	return out, nil
}

// then is the default callback: go on after a millisecond while chunks are full,
// and say so when it took more than one.
func (k clearer) then(job *clearing, result *luavalue.Table) {
	job.round++
	result.Add("round", float64(job.round))
	if result.Get("chunk_limit") == nil {
		if job.round > 1 {
			name := strings.TrimSuffix(job.name.String(), ".")
			if name == "" {
				name = "."
			}
			k.d.Log.Group("cache").Notice(fmt.Sprintf("asynchonous cache.clear('%s', %v) finished", name, job.exact))
		}
		return
	}
	k.d.After(time.Millisecond, func() error {
		next, err := k.chunk(job)
		if err == nil {
			k.then(job, next)
		}
		return err
	})
}
