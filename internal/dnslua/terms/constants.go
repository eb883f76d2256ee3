package terms

import (
	"strconv"
	"strings"

	"kresd/internal/rank"
	"kresd/internal/script"
)

// constants are numbers with names, such as kres.type. They print as a table
// and look up by name.
type constants struct {
	byName map[string]int
	// unknown gives a number for a name that is not listed; may be nil.
	unknown func(name string) (int, bool)
}

// numberNames are the other direction, kres.tostring.type.
type numberNames struct {
	byNumber map[int]string
	unknown  string // a prefix for numbers without a name; "" gives nil
}

func constantsClass(class string, missed *MissedConstant) *script.Class {
	return &script.Class{
		Name: class,
		Get: func(c *script.Call, v any, key any) (any, error) {
			t := v.(*constants)
			name, ok := key.(string)
			if !ok {
				return nil, nil
			}
			if n, ok := t.byName[name]; ok {
				return n, nil
			}
			if t.unknown != nil {
				if n, ok := t.unknown(name); ok {
					return n, nil
				}
			}
			missed.note(c, class, name)
			return nil, nil
		},
		Entries: func(v any) (list []script.Entry) {
			for name, n := range v.(*constants).byName {
				list = append(list, script.Entry{Key: name, Value: n})
			}
			return list
		},
	}
}

func numberNamesClass(name string) *script.Class {
	return &script.Class{
		Name: name,
		Get: func(_ *script.Call, v any, key any) (any, error) {
			t := v.(*numberNames)
			n, ok := key.(float64)
			if !ok {
				return nil, nil
			}
			if name, ok := t.byNumber[int(n)]; ok {
				return name, nil
			}
			if t.unknown == "" {
				return nil, nil
			}
			return t.unknown + strconv.Itoa(int(n)), nil
		},
		Entries: func(v any) (list []script.Entry) {
			for n, name := range v.(*numberNames).byNumber {
				list = append(list, script.Entry{Key: n, Value: name})
			}
			return list
		},
	}
}

// typeByNumber reads TYPE123 (RFC 3597, section 5).
func typeByNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "TYPE")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), err == nil
}

// constantTables are the tables of constants by their names in kres.
func constantTables() map[string]*constants {
	return map[string]*constants{
		"class":          {byName: classes()},
		"type":           {byName: typeNumbers(), unknown: typeByNumber},
		"rcode":          {byName: rcodes()},
		"opcode":         {byName: opcodes()},
		"section":        {byName: map[string]int{"ANSWER": 0, "AUTHORITY": 1, "ADDITIONAL": 2}},
		"rank":           {byName: Ranks()},
		"extended_error": {byName: extendedErrors()},
	}
}

// Ranks are the numbers of ranks by their names.
func Ranks() map[string]int {
	return map[string]int{
		"INITIAL": int(rank.Initial), "OMIT": int(rank.Omit), "TRY": int(rank.Try), "INDET": int(rank.Indet), "BOGUS": int(rank.Bogus),
		"MISMATCH": int(rank.Mismatch), "MISSING": int(rank.Missing), "INSECURE": int(rank.Insecure), "AUTH": int(rank.Auth), "SECURE": int(rank.Secure),
	}
}

// RankText is a rank in the words of kres.rank.
func RankText(r rank.Rank) string {
	text := strings.ToLower(nameOf(Ranks(), int(r&^rank.Auth)))
	if r.IsAuth() {
		text += ", auth"
	}
	return text
}

// Constants are the fields of kres that are tables of constants, and of their names; a
// reading of one that does not exist is noted.
func Constants(missed *MissedConstant) []script.Field {
	var fields []script.Field
	field := func(name string, h *script.Handle) {
		fields = append(fields, script.Field{Name: name, Get: func(*script.Call) (any, error) { return h, nil }})
	}
	toString := map[string]*script.Handle{}
	for name, t := range constantTables() {
		field(name, &script.Handle{Class: constantsClass("kres."+name, missed), Value: t})
		toString[name] = &script.Handle{Class: numberNamesClass("kres.tostring." + name), Value: t.names(name == "type")}
	}
	field("tostring", &script.Handle{Class: toStringClass(toString), Value: "tostring"})
	return fields
}

// names is the other direction: of two names of one number the first in order.
func (t *constants) names(ofTypes bool) *numberNames {
	names := &numberNames{byNumber: map[int]string{}}
	for text, n := range t.byName {
		if old, twice := names.byNumber[n]; !twice || text < old {
			names.byNumber[n] = text
		}
	}
	if ofTypes {
		names.unknown = "TYPE"
	}
	return names
}

// toStringClass is the table kres.tostring.
func toStringClass(tables map[string]*script.Handle) *script.Class {
	return &script.Class{
		Name: "kres.tostring",
		Get: func(_ *script.Call, _ any, key any) (any, error) {
			name, _ := key.(string)
			if h := tables[name]; h != nil {
				return h, nil
			}
			return nil, nil
		},
		Entries: func(any) (list []script.Entry) {
			for name, h := range tables {
				list = append(list, script.Entry{Key: name, Value: h})
			}
			return list
		},
	}
}
