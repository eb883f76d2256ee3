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
