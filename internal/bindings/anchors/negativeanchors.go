package anchors

import (
	"errors"
	"fmt"
	"math"
	"time"

	"kresd/internal/luavalue"
	"kresd/internal/trustanchor"
)

// negatives reads a list of names, or of tables that say more than a name, at a time
// from which their ends count. values are its elements as they were given.
func negatives(t *luavalue.Table, now time.Time) (list []trustanchor.Negative, values []any, err error) {
	if values, err = entries(t); err != nil {
		return nil, nil, err
	}
	list = make([]trustanchor.Negative, len(values))
	for i, v := range values {
		if list[i], err = negative(v, now); err != nil {
			return nil, nil, err
		}
	}
	return list, values, nil
}

var errNegatives = errors.New("a list of names expected, or of { name =, reason =, expires = }")

// entries are the elements of a list; a table with a name is the only one.
func entries(t *luavalue.Table) ([]any, error) {
	if t.Get("name") != nil {
		return []any{t}, nil
	}
	values := t.Values()
	if len(values) != len(t.Pairs) {
		return nil, errNegatives
	}
	return values, nil
}

// negative reads one element.
func negative(value any, now time.Time) (n trustanchor.Negative, err error) {
	text, isText := value.(string)
	if table, ok := value.(*luavalue.Table); ok {
		for _, p := range table.Pairs {
			switch ms, number := p.Value.(float64); {
			case p.Key == "name":
				text, isText = p.Value.(string)
			case p.Key == "reason":
				if n.Reason, ok = p.Value.(string); !ok {
					return n, errors.New("reason: text expected")
				}
			case p.Key == "expires" && number && ms > 0 && isTime(p.Value):
				n.Expires = now.Add(inMilliseconds(ms)).Unix()
			case p.Key == "expires":
				return n, errors.New("expires: a number of milliseconds above 0 expected")
			default:
				return n, errNegatives
			}
		}
		n.Trial = true
	}
	if !isText {
		return n, errNegatives
	}
	n.Name, err = trustanchor.ParseName(text)
	return n, err
}

// negativeText tells of a negative anchor in one line.
func negativeText(n *trustanchor.Negative) string {
	text := "negative trust anchor: " + n.Name.String()
	if n.Expires != 0 {
		text += " until " + time.Unix(n.Expires, 0).UTC().Format("2006-01-02 15:04:05 UTC")
	}
	if n.Reason != "" {
		text += fmt.Sprintf(" (%s)", n.Reason)
	}
	return text
}

func isTime(v any) bool {
	n, ok := v.(float64)
	return ok && n >= 0 && !math.IsInf(n, 0)
}

// inMilliseconds is a script's number as a time; at most a century, which is longer
// than any operator waits.
func inMilliseconds(n float64) time.Duration {
	const most = 100 * 365 * 24 * time.Hour
	if n >= float64(most/time.Millisecond) {
		return most
	}
	return time.Duration(n * float64(time.Millisecond))
}
