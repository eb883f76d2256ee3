package script_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kresd/internal/script"
	"kresd/internal/script/command"
)

type lamp struct {
	on    bool
	watts int
}

// lamps gives a machine the global lamp and a class to take it back by.
func lamps(t *testing.T) (*command.Interpreter, *script.Class) {
	t.Helper()
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	class := &script.Class{Name: "lamp"}
	class.Methods = []script.Func{{Name: "switch", Args: "on", Min: 2, Max: 2, Fn: func(c *script.Call) error {
		c.Handle(1, class).(*lamp).on = c.Bool(2)
		return c.Return(c.Arg(1))
	}}}
	class.Get = func(_ *script.Call, v any, key any) (any, error) {
		switch key {
		case "on":
			return v.(*lamp).on, nil
		case "watts":
			return v.(*lamp).watts, nil
		}
		return nil, script.NoMember(class, key, "on", "watts")
	}
	class.Set = func(c *script.Call, v any, key any) error {
		if key != "watts" {
			return script.Usage("only watts can be set")
		}
		v.(*lamp).watts = c.Int(1, 0, 100)
		return nil
	}
	class.Call = func(c *script.Call, v any) error { return c.Return(c.NArgs(), v.(*lamp).watts) }
	class.Text = func(v any) string { return fmt.Sprintf("lamp of %d W", v.(*lamp).watts) }
	class.Len = func(_ *script.Call, v any) (int, error) { return v.(*lamp).watts / 5, nil }
	class.List = func(_ *script.Call, v any) ([]any, error) { return []any{"bulb", v.(*lamp).watts}, nil }
	class.Entries = func(v any) []script.Entry { return []script.Entry{{"watts", v.(*lamp).watts}, {"on", v.(*lamp).on}} }
	one := &lamp{watts: 5}
	if err := vm.Do(context.Background(), func(c *script.Call) error {
		vm.SetGlobal("lamp", &script.Handle{class, one})
		vm.SetGlobal("again", &script.Handle{class, one})
		vm.SetGlobal("other", &script.Handle{&script.Class{Name: "other", CData: true}, 1})
		vm.Register(script.Func{Name: "watts", Args: "lamp", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(c.Handle(1, class).(*lamp).watts) }},
			script.Func{Name: "double", Args: "list", Min: 1, Max: 1, Fn: func(c *script.Call) error {
				if err := c.Rewrite(1, func(v any) (any, error) { return v.(float64) * 2, nil }); err != nil {
					return err
				}
				return c.Return(c.Ref(1))
			}})
		vm.RegisterObject(script.Object{Name: "shop", Funcs: []script.Func{{Name: "who", Max: 2, Fn: func(c *script.Call) error { return c.Return(c.ObjectName(1)) }}}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return vm, class
}

func TestHandlesAreUsedLikeObjects(t *testing.T) {
	vm, _ := lamps(t)
	for _, c := range [][2]string{
		{"lamp.watts", "5\n"},
		{"lamp:switch(true).on", "true\n"},
		{"lamp.watts = 40", ""},
		{"watts(again)", "40\n"},
		{"lamp == again", "true\n"},
		{"lamp == other", "false\n"},
		{"tostring(lamp)", "lamp of 40 W\n"},
		{"select('#', lamp(1, 2))", "2\n"},
		{"(lamp('x'))", "1\n"},
		{"lamp", "[on] => true\n[watts] => 40\n"},
		{"{ lamp }", "[1] => {\n    [on] => true\n    [watts] => 40\n}\n"},
		{"(function() local s = 0 for k, v in pairs(lamp) do s = s + 1 end return s end)()", "2\n"},
		{"type(lamp), type(other), type(nil), type(type), type(io.stdout)", "userdata\n"},
		{"return select(2, type(lamp), type(other))", "cdata"},
		{"type()", "ERROR …"},
		{"#lamp", "8\n"},
		{"#other", "ERROR error: an other has no length"},
		{"(function() local s = '' for i, v in ipairs(lamp) do s = s .. i .. v end return s end)()", "1bulb240\n"},
		{"ipairs(other)", "ERROR error: an other is no list"},
		{"tojson({ x = 1, l = lamp })", "{\"l\":null,\"x\":1}\n"},
		{"(function() local l = { 1, 2 } double(l) return l[1] + l[2] end)()", "6\n"},
		{"shop:who()", "shop\n"},
		{"shop.who(lamp)", "\n"},
		{"lamp.volts", "ERROR error: a lamp has no 'volts' here; it has on, watts, switch()"},
		{"lamp.watts = 'x'", "ERROR error: bad value for 'lamp.watts' (number expected, got string)"},
		{"watts(5)", "ERROR [string \"watts(5)\"]:1: bad argument #1 to 'watts' (lamp expected, got number); usage: watts(lamp)"},
		{"watts(other)", "ERROR [string \"watts(other)\"]:1: bad argument #1 to 'watts' (lamp expected, got userdata); usage: watts(lamp)"},
		{"lamp:switch(5)", "ERROR error: bad argument #1 to 'lamp:switch' (boolean expected, got number); usage: lamp:switch(on)"},
		{"lamp.switch(5, true)", "ERROR error: 'lamp:switch' is called on a wrong value (lamp expected, got number); usage: lamp:switch(on)"},
		{"lamp:switch()", "ERROR error: wrong number of arguments to 'lamp:switch'; usage: lamp:switch(on)"},
		{"other()", "ERROR error: an other is no function"},
		{"other.x = 1", "ERROR error: 'other.x' cannot be assigned"},
	} {
		out, isErr := vm.Eval(context.Background(), c[0])
		if isErr {
			out = "ERROR " + out
		}
		if prefix, open := strings.CutSuffix(c[1], "…"); out != c[1] && !(open && strings.HasPrefix(out, prefix)) {
			t.Errorf("%s\n got %q\nwant %q", c[0], out, c[1])
		}
	}
}

// What leaves the process with map() holds no handles.
func TestHandlesDoNotLeaveTheProcess(t *testing.T) {
	vm, _ := lamps(t)
	if r := vm.MapEval(context.Background(), "lamp"); r.Kind != command.ResultValue || r.Value != nil {
		t.Errorf("map('lamp') gave %v", r)
	}
}
