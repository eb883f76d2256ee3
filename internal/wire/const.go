package wire

// Header bits in the second 16-bit word (RFC 1035, section 4.1.1; RFC 4035,
// section 3).
const (
	FlagQR uint16 = 1 << 15
	FlagAA uint16 = 1 << 10
	FlagTC uint16 = 1 << 9
	FlagRD uint16 = 1 << 8
	FlagRA uint16 = 1 << 7
	FlagAD uint16 = 1 << 5
	FlagCD uint16 = 1 << 4

	opcodeShift = 11
	opcodeMask  = 0xf
	rcodeMask   = 0xf
)

// HeaderLen is the length of the header in octets.
const HeaderLen = 12

// MaxMessage is the most octets that a message can have, since two tell its length where
// it stands in a stream (RFC 1035, section 4.2.2).
const MaxMessage = 65535

// Types that the resolver itself has to know (IANA, DNS Parameters).
const (
	TypeA          uint16 = 1
	TypeNS         uint16 = 2
	TypeCNAME      uint16 = 5
	TypeSOA        uint16 = 6
	TypeNULL       uint16 = 10
	TypePTR        uint16 = 12
	TypeHINFO      uint16 = 13
	TypeMX         uint16 = 15
	TypeTXT        uint16 = 16
	TypeSIG        uint16 = 24
	TypeAAAA       uint16 = 28
	TypeSRV        uint16 = 33
	TypeDNAME      uint16 = 39
	TypeOPT        uint16 = 41
	TypeDS         uint16 = 43
	TypeRRSIG      uint16 = 46
	TypeNSEC       uint16 = 47
	TypeDNSKEY     uint16 = 48
	TypeNSEC3      uint16 = 50
	TypeNSEC3PARAM uint16 = 51
	TypeSVCB       uint16 = 64
	TypeHTTPS      uint16 = 65
	TypeNXNAME     uint16 = 128
	TypeTKEY       uint16 = 249
	TypeTSIG       uint16 = 250
	TypeIXFR       uint16 = 251
	TypeAXFR       uint16 = 252
	TypeANY        uint16 = 255
	TypeRESINFO    uint16 = 261
)

// Classes.
const (
	ClassIN   uint16 = 1
	ClassCH   uint16 = 3
	ClassNONE uint16 = 254
	ClassANY  uint16 = 255
)

// RCODEs (RFC 6895, section 2.3; those above 15 need an OPT record).
const (
	RcodeNoError  = 0
	RcodeFormErr  = 1
	RcodeServFail = 2
	RcodeNXDomain = 3
	RcodeNotImp   = 4
	RcodeRefused  = 5
	RcodeYXDomain = 6
	RcodeNotAuth  = 9
	RcodeBadVers  = 16
	// RcodeBadCookie says that the server wants its own cookie back (RFC 7873, section 8).
	RcodeBadCookie = 23
)

// OpcodeQuery is the only opcode that the resolver serves.
const OpcodeQuery = 0

// EDNS option codes.
const (
	OptionNSID      uint16 = 3
	OptionCookie    uint16 = 10
	OptionKeepalive uint16 = 11 // edns-tcp-keepalive, RFC 7828
	OptionPadding   uint16 = 12
	OptionEDE       uint16 = 15
)

// IsDenial tells whether records of a type deny that names or types exist (RFC
// 4034, section 4; RFC 5155, section 3).
func IsDenial(t uint16) bool { return t == TypeNSEC || t == TypeNSEC3 }

// IsProof tells whether records of a type stand beside an answer only for clients
// that set DO (RFC 4035, section 3.2.1).
func IsProof(t uint16) bool { return IsDenial(t) || t == TypeRRSIG || t == TypeDS }

// IsMetaType tells whether a type exists in questions only, or in no message
// that a resolver serves (RFC 6895, section 3.1). ANY counts too.
func IsMetaType(t uint16) bool { return t == TypeOPT || t >= 128 && t <= 255 }
