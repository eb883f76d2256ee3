package dnslua

import (
	"context"
	"strconv"
	"strings"

	"kresd/internal/script"
)

// A MissedConstant is the reading of a constant that does not exist: what a nil that
// leaves no trace in a table comes from.
type MissedConstant struct {
	class, name string
	by          context.Context // of the command or file that read it
	at          string          // its place
}

func (m *MissedConstant) note(c *script.Call, class, name string) {
	*m = MissedConstant{class, name, c.Context(), c.Position()}
}

// In is the constant of a class that a call's table was to have, "" if none was read
// in vain where the table is written.
func (m *MissedConstant) In(c *script.Call, class string) string {
	if m.class != class || m.by != c.Context() || lineOf(m.at) < lineOf(c.Position()) {
		return ""
	}
	return m.class + "." + m.name
}

// lineOf is the line of a place, "file:line: "; 0 for commands.
func lineOf(place string) int {
	place = strings.TrimSuffix(place, ": ")
	n, _ := strconv.Atoi(place[strings.LastIndexByte(place, ':')+1:])
	return n
}
