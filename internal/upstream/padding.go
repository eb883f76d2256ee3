package upstream

import (
	"encoding/binary"

	"kresd/internal/wire"
)

// paddedTo is of what the length of a question is a multiple where nobody on the way can
// read it, so that its length tells little either (RFC 8467, section 4.1).
const paddedTo = 128

// appendPadding appends the option that pads a question (RFC 7830) whose name has that
// many octets, and which has no options but those.
func appendPadding(options []byte, name int) []byte {
	unpadded := wire.HeaderLen + name + 4 + wire.OPTLen + len(options) + 4
	fill := (paddedTo - unpadded%paddedTo) % paddedTo
	options = binary.BigEndian.AppendUint16(options, wire.OptionPadding)
	options = binary.BigEndian.AppendUint16(options, uint16(fill))
	return append(options, make([]byte, fill)...)
}
