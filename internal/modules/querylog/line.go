package querylog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/logging"
	"kresd/internal/wire"
)

// group is what stands in the field of that name.
const group = "querylog"

// appendLine appends the JSON of an entry with its newline. one in sample is written;
// 1 says nothing.
func (e *entry) appendLine(b []byte, sample uint64) []byte {
	b = append(b, `{"`+logging.FieldTime+`":"`...)
	b = e.at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","`+logging.FieldGroup+`":"`+group+`","`+logging.FieldName+`":`...)
	b = appendText(b, e.question())
	b = append(b, `,"`+logging.FieldType+`":"`...)
	b = append(b, wire.TypeText(e.qtype)...)
	b = append(b, `","`+logging.FieldRcode+`":`...)
	if e.flags&noAnswer != 0 {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), wire.RcodeText(int(e.rcode))...), '"')
	}
	b = append(b, `,"`+logging.FieldTook+`":`...)
	b = strconv.AppendFloat(b, float64(e.took)/float64(time.Second), 'f', 6, 64)
	b = append(b, `,"proto":"`...)
	b = append(b, strings.ToLower(e.transport.Kind.String())...)
	b = append(b, `","cached":`...)
	b = strconv.AppendBool(b, e.flags&wasCached != 0)
	b = append(b, `,"blocked":`...)
	b = strconv.AppendBool(b, e.flags&wasBlocked != 0)
	if e.flags&hasClient != 0 {
		b = append(b, `,"`+logging.FieldClient+`":"`...)
		b = append(e.client.AppendTo(b), '"')
	}
	if e.ede != ede.None {
		b = append(b, `,"ede":`...)
		b = strconv.AppendUint(b, uint64(e.ede), 10)
	}
	if e.why != "" {
		b = appendText(append(b, `,"why":`...), e.why)
	}
	if sample > 1 {
		b = append(b, `,"sample":`...)
		b = strconv.AppendUint(b, sample, 10)
	}
	return append(b, "}\n"...)
}

// question is the name in presentation format.
func (e *entry) question() string {
	name, err := dnsname.FromWire(e.name)
	if err != nil {
		return "?" // no question with such a name is answered
	}
	return name.String()
}

// appendText appends a string of JSON. What would end a line or move a cursor is
// written by its number.
func appendText(b []byte, text string) []byte {
	b = append(b, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
