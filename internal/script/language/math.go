package language

import (
	"math"
	"math/bits"
	"math/rand/v2"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
)

// mathFuncs are the functions of math for one machine, with a random sequence of its own.
func mathFuncs() []script.Func {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	return []script.Func{
		{Name: "modf", Args: "x", Min: 1, Max: 1, Fn: mathModf},
		{Name: "mod", Args: "x, y", Min: 2, Max: 2, Fn: func(c *script.Call) error { return c.Return(math.Mod(c.Number(1), c.Number(2))) }},
		{Name: "random", Args: "[[from,] to]", Max: 2, Fn: func(c *script.Call) error { return mathRandom(c, random.Float64()) }},
		{Name: "randomseed", Args: "x", Min: 1, Max: 1, Fn: func(c *script.Call) error {
			// What math.random gives from here on depends on x alone.
			random = rand.New(rand.NewPCG(math.Float64bits(c.Number(1)), 0))
			return nil
		}},
		{Name: "log10", Args: "x", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(math.Log10(c.Number(1))) }},
	}
}

// mathModf returns the whole part of a number and the rest, which is 0 for infinity.
func mathModf(c *script.Call) error {
	whole, rest := math.Modf(c.Number(1))
	if math.IsInf(whole, 0) {
		rest = 0
	}
	return c.Return(whole, rest)
}

// mathRandom returns r, a number of [0, 1), or, made from it, a whole number of [1, to] or
// of [from, to].
func mathRandom(c *script.Call, r float64) error {
	from := 1.0
	switch c.NArgs() {
	case 0:
		return c.Return(r)
	case 1, 2:
	default:
		return script.Usage("wrong number of arguments")
	}
	to := c.Number(c.NArgs())
	if c.NArgs() == 2 {
		from = math.Floor(c.Number(1))
	}
	if to = math.Floor(to); !(from <= to) {
		c.ArgError(c.NArgs(), "interval is empty")
	}
	return c.Return(math.Floor(r*(to-from+1)) + from)
}

// fixMath gives math.huge its value: the machine has the largest finite number.
func fixMath(vm *script.VM, l *lua.State) {
	l.Global("math")
	l.PushNumber(math.Inf(1))
	l.SetField(-2, "huge")
	l.Pop(1)
}

// bitFuncs are the bit library of LuaJIT: 32 bits, results signed.
var bitFuncs = []script.Func{
	{Name: "tobit", Args: "x", Min: 1, Fn: bitUnary(func(x uint32) uint32 { return x })},
	{Name: "bnot", Args: "x", Min: 1, Fn: bitUnary(func(x uint32) uint32 { return ^x })},
	{Name: "bswap", Args: "x", Min: 1, Fn: bitUnary(bits.ReverseBytes32)},
	{Name: "band", Args: "x, ...", Min: 1, Fn: bitFold(func(x, y uint32) uint32 { return x & y })},
	{Name: "bor", Args: "x, ...", Min: 1, Fn: bitFold(func(x, y uint32) uint32 { return x | y })},
	{Name: "bxor", Args: "x, ...", Min: 1, Fn: bitFold(func(x, y uint32) uint32 { return x ^ y })},
	{Name: "lshift", Args: "x, n", Min: 2, Fn: bitShift(func(x uint32, n int) uint32 { return x << n })},
	{Name: "rshift", Args: "x, n", Min: 2, Fn: bitShift(func(x uint32, n int) uint32 { return x >> n })},
	{Name: "arshift", Args: "x, n", Min: 2, Fn: bitShift(func(x uint32, n int) uint32 { return uint32(int32(x) >> n) })},
	{Name: "rol", Args: "x, n", Min: 2, Fn: bitShift(bits.RotateLeft32)},
	{Name: "ror", Args: "x, n", Min: 2, Fn: bitShift(func(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) })},
	{Name: "tohex", Args: "x[, digits]", Min: 1, Fn: bitTohex},
}

// bits32 is argument i, rounded to the nearest integer, modulo 2^32.
func bits32(c *script.Call, i int) uint32 {
	n := math.Mod(math.RoundToEven(c.Number(i)), 1<<32)
	if n < 0 {
		n += 1 << 32
	}
	return uint32(n) // NaN becomes some number, as in LuaJIT
}

func bitUnary(f func(uint32) uint32) func(c *script.Call) error {
	return func(c *script.Call) error { return c.Return(int(int32(f(bits32(c, 1))))) }
}

func bitFold(f func(x, y uint32) uint32) func(c *script.Call) error {
	return func(c *script.Call) error {
		x := bits32(c, 1)
		for i := 2; i <= c.NArgs(); i++ {
			x = f(x, bits32(c, i))
		}
		return c.Return(int(int32(x)))
	}
}

func bitShift(f func(x uint32, n int) uint32) func(c *script.Call) error {
	return func(c *script.Call) error { return c.Return(int(int32(f(bits32(c, 1), int(bits32(c, 2)&31))))) }
}

// bitTohex writes 8 digits, or as many as asked for; upper case for a negative
// number.
func bitTohex(c *script.Call) error {
	digits, x, alphabet := 8, uint64(bits32(c, 1)), "0123456789abcdef"
	if !c.IsNil(2) {
		digits = int(int32(bits32(c, 2)))
	}
	if digits < 0 {
		digits, alphabet = -digits, "0123456789ABCDEF"
	}
	out := make([]byte, min(digits, 8))
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphabet[x&15]
		x >>= 4
	}
	return c.Return(string(out))
}
