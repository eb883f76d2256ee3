package terms

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/script"
	"kresd/internal/wording"
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

// A RefusedName is the text that todname or kres.str2dname has last given nil for: what a
// nil in a list of names comes from.
type RefusedName struct {
	why string
	by  context.Context // of the command or file
}

// ToWire is kres.str2dname and todname: the wire form of a name.
func (n *RefusedName) ToWire(c *script.Call) error {
	if c.Type(1) != "string" {
		return c.Return(nil)
	}
	name, err := dnsname.Parse(c.String(1))
	if err != nil {
		*n = RefusedName{fmt.Sprintf("'%s' is no name: %v", wording.Printable(c.String(1)), err), c.Context()}
		return c.Return(nil)
	}
	return c.Return(string(name))
}

// In says which text a call's list was to have as a name, "" where none was refused.
func (n *RefusedName) In(c *script.Call) string {
	if n.by != c.Context() {
		return ""
	}
	return n.why
}

// lineOf is the line of a place, "file:line: "; 0 for commands.
func lineOf(place string) int {
	place = strings.TrimSuffix(place, ": ")
	n, _ := strconv.Atoi(place[strings.LastIndexByte(place, ':')+1:])
	return n
}
