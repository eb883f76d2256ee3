// Package wire reads and writes DNS messages as octets (RFC 1035, section 4).
//
// There are two readers. Question is a view over a client's query for the
// listener's thread: it points into the received octets and allocates nothing.
// Msg is an upstream's answer taken apart for the driver: names uncompressed
// and in lower case, RDATA uncompressed and canonical (RFC 4034, section 6.2),
// built once and never decoded again. Both refuse whatever is not well formed:
// counts that do not agree with what is there, octets behind the end, names
// that loop, more records than limits allow. There is one writer, Builder.
//
// The package knows no policy: which records to believe, to keep or to send is
// decided elsewhere. It has no types for single RDATA formats beyond where
// their names stand; presentation format belongs to the edges.
package wire
