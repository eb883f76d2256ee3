package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// toJSON is tojson(value).
func toJSON(c *script.Call) error {
	var b bytes.Buffer
	if err := writeJSON(&b, c.Arg(1)); err != nil {
		return err
	}
	return c.Return(b.String())
}

// writeJSON writes a value. A table with the keys 1…n and no others is an
// array, every other one an object, also the empty one.
func writeJSON(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case *luavalue.Table:
		if list := v.Values(); len(list) > 0 && len(list) == len(v.Pairs) {
			return writeArray(b, list)
		}
		return writeObject(b, v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a number that is not finite has no form in JSON")
		}
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			b.WriteString(formatInteger(v))
			return nil
		}
		return writeScalar(b, v)
	case string, bool:
		return writeScalar(b, v)
	}
	b.WriteString("null")
	return nil
}

func formatInteger(n float64) string { return fmt.Sprintf("%.0f", n) }

func writeScalar(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the newline
	return nil
}

func writeArray(b *bytes.Buffer, list []any) error {
	for i, v := range list {
		b.WriteByte("[,"[min(i, 1)])
		if err := writeJSON(b, v); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func writeObject(b *bytes.Buffer, t *luavalue.Table) error {
	b.WriteByte('{')
	for i, p := range t.Pairs {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeScalar(b, luavalue.KeyText(p.Key)); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := writeJSON(b, p.Value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// fromJSON is fromjson(text).
func fromJSON(c *script.Call) error {
	var v any
	text := c.Text(1)
	if n := strings.Count(text, ",") + strings.Count(text, "[") + strings.Count(text, "{"); n > limits.LuaValues {
		return fmt.Errorf("fromjson: more than %d values", limits.LuaValues)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Errorf("fromjson: not JSON: %w", err)
	}
	return c.Return(fromJSONValue(v))
}

// fromJSONValue makes tables of objects and arrays; null leaves a gap.
func fromJSONValue(v any) any {
	switch v := v.(type) {
	case []any:
		t := &luavalue.Table{}
		for i, e := range v {
			if e != nil {
				t.Add(float64(i+1), fromJSONValue(e))
			}
		}
		return t
	case map[string]any:
		t := &luavalue.Table{}
		for key, e := range v {
			if e != nil {
				t.Add(key, fromJSONValue(e))
			}
		}
		return t
	}
	return v
}
