package language_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"kresd/internal/script/scripttest"
)

// differences are what this machine does otherwise than Lua 5.1: how the manual says it,
// and an expression with what it gives here and there.
var differences = []struct{ manual, expression, here, there string }{
	{"`goto` is a word of the language", "type(loadstring('goto = 1'))", "nil", "function"},
	{"`goto` is a word of the language", "type(loadstring('do goto x end ::x::'))", "function", "nil"},
	{"`;` may stand alone", "type(loadstring(';;'))", "function", "nil"},
	{"an unknown escape is an error", `type(loadstring("return '\\q'"))`, "nil", "function"},
	{"`__len` and `__pairs` of tables", "#setmetatable({}, { __len = function() return 5 end })", "5", "0"},
	{"`__len` and `__pairs` of tables", "(pairs(setmetatable({}, { __pairs = function() return 5 end }))) == 5", "true", "false"},
	{"comparisons ask", "pcall(function() return setmetatable({}, { __lt = function() return true end }) < 1 end)", "true", "false"},
	{"nothing is weak", "(function() local t = setmetatable({ [{}] = 1 }, { __mode = 'k' }) collectgarbage() return next(t) ~= nil end)()", "true", "false"},
	{"`string.dump` is refused", "pcall(string.dump, function() end)", "false", "true"},
	{"`setfenv(0, …)`", "pcall(setfenv, 0, _G)", "false", "true"},
	{"`debug.sethook`", "(function() local n = 0 debug.sethook(function() n = n + 1 end, '', 1) local x = 1 debug.sethook() return n > 0 end)()", "false", "true"},
	{"`package.loadlib`", "package.loadlib == nil", "true", "false"},
	{"`tonumber('inf')`", "tonumber('inf')", "nil", "inf"},
}

// What the manual says of the differences is so, and what is different it says.
func TestDifferencesToLua51AreThoseOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/manual.md")
	if err != nil {
		t.Fatal(err)
	}
	lua, err := exec.LookPath("lua5.1")
	if err != nil {
		t.Fatal("lua5.1 is missing, with which this machine is compared: make testdeps")
	}
	vm, _ := scripttest.New(t)
	for _, d := range differences {
		if !strings.Contains(string(manual), d.manual) {
			t.Errorf("the manual does not say: %s", d.manual)
		}
		body := "return tostring((" + d.expression + "))"
		if got := scripttest.Eval(vm, body); got != d.here {
			t.Errorf("%s: here %q, want %q", d.expression, got, d.here)
		}
		there, err := exec.Command(lua, "-e", "io.write((function() "+body+" end)())").CombinedOutput()
		if err != nil || string(there) != d.there {
			t.Errorf("%s: in Lua 5.1 %q (%v), want %q", d.expression, there, err, d.there)
		}
	}
}
