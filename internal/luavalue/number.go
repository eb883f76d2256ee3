package luavalue

import (
	"fmt"
	"math"
	"strconv"
)

// FormatNumber is a number's text as Lua 5.1 writes it.
func FormatNumber(n float64) string {
	switch {
	case math.IsNaN(n):
		return "nan"
	case math.IsInf(n, 1):
		return "inf"
	case math.IsInf(n, -1):
		return "-inf"
	case n == math.Trunc(n) && math.Abs(n) < 1e14:
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return fmt.Sprintf("%.14g", n)
}

// KeyText is the text of a table's key: that of a number as Lua writes it.
func KeyText(key any) string {
	if n, ok := key.(float64); ok {
		return FormatNumber(n)
	}
	return fmt.Sprint(key)
}
