package resolve

import (
	"fmt"
	"net/netip"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/selection"
	"kresd/internal/zonecut"
)

// Steps of a request as a whole.
type (
	// RuleMatched tells that an operator's rule was for the request, what it did,
	// and how the request goes on.
	RuleMatched struct {
		Rule, Action fmt.Stringer
		Then         AfterRule
	}
	// ModuleDecided tells that a module made the result before anything was resolved.
	ModuleDecided struct {
		Module string
		Result *Result
	}
	// ModuleFinalized tells what the result was before and after a module's last
	// touch, which may be the same.
	ModuleFinalized struct {
		Module        string
		Before, After *Result
	}
	// JoinedRequest tells that an equal request is being resolved already, whose
	// answer is waited for.
	JoinedRequest struct{}
)

// AfterRule is how a request goes on behind a rule.
type AfterRule uint8

// What a rule leads to.
const (
	NextRule    AfterRule = iota // the rules behind it are tried
	NoMoreRules                  // the request is resolved
	RuleAnswers                  // the rule made the result
	RuleFails                    // the request fails
)

// Steps of a query that is answered without the network.
type (
	// CacheHit tells that the cache has the answer, or that it follows from validated
	// denials of the zone Denier (RFC 8198).
	CacheHit struct {
		Outcome *Outcome
		Denier  dnsname.Name
	}
	// CacheMiss tells that it has not.
	CacheMiss struct{ Question Question }
	// FailureRemembered tells that the question failed Age seconds ago and is not
	// tried again for Left more (RFC 9520).
	FailureRemembered struct {
		Question  Question
		Age, Left int64
		Reason    string
	}
	// ModuleAnswered tells that a module made the outcome.
	ModuleAnswered struct {
		Module  string
		Outcome *Outcome
	}
	// StaleAnswered tells that the client gets what was known once (RFC 8767), since
	// the resolution failed for Reason.
	StaleAnswered struct {
		Reason  string
		Outcome *Outcome
	}
	// StaleServersAsked tells that the servers of a delegation that has ended are
	// asked, since the resolution failed for Reason.
	StaleServersAsked struct {
		Reason string
		Zone   dnsname.Name
	}
	// OptionsSet tells which options, by their names in scripts, a module set for the
	// query.
	OptionsSet struct{ Names []string }
)

// Steps on the way to a server.
type (
	// CutFound tells whose servers are asked. Scope is the name that a rule chose
	// them for; Now is the request's time.
	CutFound struct {
		Cut   *zonecut.Cut
		By    Authority
		Scope dnsname.Name
		Now   int64
	}
	// LookupRefused tells why the address of a name server cannot be looked up.
	LookupRefused struct {
		NS  dnsname.Name
		Err error
	}
	// AddressNotFound tells that a name server was looked up in vain.
	AddressNotFound struct{ NS dnsname.Name }
	// AddressReferred tells that the referral has the address of the name server that
	// is looked up.
	AddressReferred struct{ NS dnsname.Name }
	// ParentAsked tells that no server of Zone that was asked is of use and that
	// Parent is asked whether there are others.
	ParentAsked struct{ Zone, Parent dnsname.Name }
	// ZoneBelowAsked tells that no answer of the servers of Above is believed, and that
	// those of Zone, which lies below, are looked up.
	ZoneBelowAsked struct{ Zone, Above dnsname.Name }
	// WaitsForWorkers tells that enough other workers ask the same.
	WaitsForWorkers struct{}
	// WaitsForLate tells that nobody is left to ask, and that answers are waited for
	// that are late.
	WaitsForLate struct{}
)

// Steps of one question to a server. Asking begins it; Replied or Silent tell how
// it ended, and the step behind Replied what the message means.
type (
	// Asking tells whom the query asks what and how.
	Asking struct {
		To       Peer
		How      Server
		Question Question
		Timeout  time.Duration
	}
	// Chosen tells why the server was chosen, and Left which others were not, for a
	// reason other than their speed.
	Chosen struct{ Why selection.Reason }
	Left   struct{ Servers []selection.LeftOut }
	// Explored tells that another server is asked besides, only to learn about it.
	Explored struct{ To Peer }
	// Replied tells what the server's message looks like.
	Replied struct {
		From  zonecut.Endpoint
		Reply Reply
	}
	// Silent tells that there was no message, and why.
	Silent struct {
		From zonecut.Endpoint
		TCP  bool
		Err  error
	}
)

// A Peer is a server as people know it.
type Peer struct {
	By Authority
	// NS and Zone are of a name server.
	NS, Zone dnsname.Name
	Addr     netip.AddrPort
}

// Authority says who named the servers that are asked.
type Authority uint8

// Kinds of servers.
const (
	ByDelegation  Authority = iota // name servers of a zone
	ByForwardRule                  // forwarders
	ByStubRule                     // servers of a stub rule
)

// Steps within one question to a server, told by the Exchanger.
type (
	// ExchangeJoined tells that an equal question is in resolution, whose answer is
	// waited for.
	ExchangeJoined struct{}
	// DatagramSeen tells what came by UDP, when, and what is done about it.
	DatagramSeen struct {
		What  Datagram
		After time.Duration
		Then  AfterDatagram
	}
	// AskedAgain tells that the question is sent by UDP once more, and what differs
	// from the first time.
	AskedAgain struct{ Change RetryChange }
	// AskedConnected tells over which connection the question goes, which is of TCP for
	// zonecut.Do53: one that was open, or one that was made in Took.
	AskedConnected struct {
		By     zonecut.Protocol
		Reused bool
		Took   time.Duration
	}
	// ConnectedAgain tells why a connection brought no answer, so that the question is
	// asked once more.
	ConnectedAgain struct {
		By  zonecut.Protocol
		Why AgainReason
	}
	// ConnectionFailed tells why there is no answer over a connection.
	ConnectionFailed struct {
		By    zonecut.Protocol
		After time.Duration
		Err   error
	}
	// TCPOverdue tells that there was no answer by TCP in time.
	TCPOverdue struct{ Within time.Duration }
)

// Datagram is what a datagram from a server amounts to.
type Datagram uint8

// Kinds of datagrams.
const (
	DatagramIgnored Datagram = iota
	DatagramAnswer
	DatagramTruncated
	DatagramNearMiss   // another ID or question
	DatagramCaseLost   // another letter case
	DatagramCookieLost // without our cookie
	DatagramBadCookie  // a new cookie instead of an answer
	DatagramBareError  // an error without a question
	DatagramsUnreadable
)

// AfterDatagram is what is done about a datagram.
type AfterDatagram uint8

// What follows a datagram.
const (
	DatagramTaken   AfterDatagram = iota
	AsksTCP                       // instead
	AsksTCPToo                    // while a better datagram may come
	WaitsForBetter                // since TCP did not help
	TakenIfTCPFails               // it is good, and TCP is under way
)

// RetryChange is what differs from a first attempt by UDP.
type RetryChange uint8

// Changes of an attempt.
const (
	RetrySame           RetryChange = iota
	RetryWithNewCookie              // the server gave one
	RetryWithoutCookie              // the answer need not have a cookie
	RetryWithCaseAsItIs             // letters have the case that they came with
	RetryOnAnotherPort              // somebody guesses at the one before
)

// AgainReason is why a question is asked over a connection once more.
type AgainReason uint8

// Reasons to ask again.
const (
	ConnectionOver AgainReason = iota // it ended first: a new one is opened
	NoTurn                            // the server takes no further question there: a new one is opened
	NotTaken                          // the server has not looked at the question
)

// Steps that tell what came of an answer.
type (
	// Concluded tells what the message says about the question.
	Concluded struct{ Outcome *Outcome }
	// Inconclusive tells that the message with Rcode leads to another question than
	// Asked.
	Inconclusive struct {
		Rcode int
		Asked Question
		Why   Inconclusion
	}
	// Referred tells where a referral leads.
	Referred struct {
		Cut *zonecut.Cut
		By  Authority
	}
	// AliasFollowed tells which name is resolved next.
	AliasFollowed struct{ Target dnsname.Name }
	// Useless tells that a server's answer does not help the zone: it has an error of
	// its own, or no authority.
	Useless struct {
		From  netip.AddrPort
		Zone  dnsname.Name
		Rcode int
	}
	// EnoughUseless tells that no further server of Zone is asked because so many
	// were of no use (limits.UselessAnswers, limits.RefusalsPerZone): to ask on would let a zone of many
	// useless servers multiply each question (HARDENING B5).
	EnoughUseless struct {
		Zone  dnsname.Name
		Count int
	}
	// Failed tells why a query came to nothing.
	Failed struct{ Err error }
)

// Steps of a proof that an answer is what its zone signed (RFC 4035, section 5).
type (
	// KeysBelieved tells which keys of Zone are believed because the DS set of its parent,
	// or a trust anchor, names those with the tags By.
	KeysBelieved struct {
		Zone   dnsname.Name
		Anchor bool
		By     []uint16
		Keys   int
	}
	// SetProved tells that a set was signed by a key of Zone.
	SetProved struct {
		Owner     dnsname.Name
		Type      uint16
		Zone      dnsname.Name
		Tag       uint16
		Algorithm uint8
	}
	// DenialProved tells that Zone denies a question, by signed records of it.
	DenialProved struct {
		Question Question
		Zone     dnsname.Name
	}
	// Unsigned tells that nothing at and below a name needs a proof, and why.
	Unsigned struct {
		Name dnsname.Name
		Why  Insecurity
	}
	// Refused tells why the answer of a server is not believed.
	Refused struct {
		From netip.AddrPort
		Why  *Failure
	}
)

// Inconclusion is why a message does not conclude a query.
type Inconclusion uint8

// Reasons to ask on.
const (
	EDNSDoubted   Inconclusion = iota // it may be wrong because of EDNS: asked again without
	NoCutHere                         // the minimised name is no zone cut
	DenialDoubted                     // the minimised name is denied, which servers often get wrong
	PartUseless                       // it is of no use for the minimised name
	CaseDoubted                       // it may be wrong because of letter case: asked again in lower case
)

func (RuleMatched) step() {}

func (ModuleDecided) step() {}

func (ModuleFinalized) step() {}

func (JoinedRequest) step() {}

func (CacheHit) step() {}

func (CacheMiss) step() {}

func (FailureRemembered) step() {}

func (ModuleAnswered) step() {}

func (StaleAnswered) step() {}

func (StaleServersAsked) step() {}

func (OptionsSet) step() {}

func (CutFound) step() {}

func (LookupRefused) step() {}

func (AddressNotFound) step() {}

func (AddressReferred) step() {}

func (ParentAsked) step() {}

func (ZoneBelowAsked) step() {}

func (WaitsForWorkers) step() {}

func (WaitsForLate) step() {}

func (Asking) step() {}

func (Chosen) step() {}

func (Left) step() {}

func (Explored) step() {}

func (Replied) step() {}

func (Silent) step() {}

func (ExchangeJoined) step() {}

func (DatagramSeen) step() {}

func (AskedAgain) step() {}

func (AskedConnected) step() {}

func (ConnectedAgain) step() {}

func (ConnectionFailed) step() {}

func (TCPOverdue) step() {}

func (Concluded) step() {}

func (Inconclusive) step() {}

func (Referred) step() {}

func (AliasFollowed) step() {}

func (Useless) step() {}

func (EnoughUseless) step() {}

func (Failed) step() {}

func (KeysBelieved) step() {}

func (SetProved) step() {}

func (DenialProved) step() {}

func (Unsigned) step() {}

func (Refused) step() {}
