// Package limits is the one list of the resolver's limits. A number that
// bounds work, memory or time stands here and nowhere else; where it is
// enforced a counter of the same name is raised (counters.go).
//
// Values that an operator sets (cache TTLs, tcp_pipeline, bufsize) have only
// their defaults and ranges here.
package limits

import "time"

// Work that one client query may cause. Budgets belong to the client query and
// are never reset by an alias, a retry, TCP or a sub-query.
const (
	MaxUpstreamPerRequest      = 100       // questions sent for one client query, retries included
	MaxUpstreamPerFetch        = 32        // questions sent for one name and type
	MaxUpstreamBytesPerRequest = 128 << 10 // octets received; the answer that crosses it still counts
	MaxTCPConnsPerRequest      = 8
	RetriesPerServer           = 2
	FailuresInRow              = 3                  // of one name server, then another one's turn comes
	ServersInTrouble           = 2                  // of one zone for one question, then the others have their turns in a hurry
	RefusalsPerZone            = 5                  // servers of one zone that refuse one question though they know the zone, or as was known (NXNSAttack by refusals)
	RefusedPerZone             = 4                  // servers of one zone whose answers are not believed
	UselessPerZone             = MaxNSPerDelegation // servers of one zone that answer and do not help (NXNSAttack by refusals; see UselessAnswers)
	MaxRecursionDepth          = 6                  // dependencies between addresses of name servers
	MaxCNAMEChain              = 12
	MaxQueriesPerPlan          = 64 // questions pushed on one plan
	MaxIterationsPerRequest    = 400
)

// Work to prove answers (KeyTrap, CVE-2023-50387; NSEC3, CVE-2023-50868), counted
// before it is spent. A unit of hashing is one block of SHA-1.
const (
	MaxVerifyPerResponse = 16
	MaxVerifyPerRequest  = 64
	MaxFailedPerResponse = 2 // signatures that are checked and wrong
	MaxFailedPerRequest  = 6
	MaxHashPerResponse   = 2048
	MaxHashPerRequest    = 8192
)

// Delegations.
const (
	MaxNSPerDelegation = 13 // name servers that one question considers
	ExtraAddrsPerCut   = 8  // addresses beyond two of each name server that one question considers (ExtraAddrs)
	// Of the name servers and addresses that a delegation tells more are kept: others have
	// their turns when these were of no use.
	NSKeptPerDelegation = 39
	ExtraAddrsKept      = 3 * (ExtraAddrsPerCut + MaxNSPerDelegation)

	NSAddrFetchPerReferral    = 4  // look-ups of name servers that lead to no address of their own
	NSAddrFetchPerRequest     = 10 // likewise
	LookupsBeside             = 4  // of addresses of name servers, under way while a request asks on
	UnresolvableNSPerRequest  = 5
	BadNSZones                = 2 // whose servers do not serve them, or answer a request's look-ups with errors, until none of these is asked again
	BadNSZonesTried           = 3 // likewise, until no more name servers are looked up
	SilentInLookups           = 3 // questions of a request's look-ups that a server leaves unanswered, until none asks it any more
	SilentZones               = 2 // whose servers leave a request's look-ups unanswered, until their other addresses are not looked up
	SilentZonesTried          = 3 // likewise, until no more name servers are looked up
	ZoneInVain                = 2 // times that a zone's servers fail a request, until no name servers are looked up there
	UnresolvableNSThrottle    = 60 * time.Second
	ThrottledNames            = 8192 // name servers and zones that are left alone at a time, per worker
	QnameMinSteps             = 10
	QnameMinOneLabelSteps     = 4
	DefaultNSTimeout          = 60 * time.Second // cache.ns_tout
	MaxOutstandingPerZone     = 200
	MaxOutstandingPerServer   = 100
	OutstandingInfrastructure = 10            // factor for root, TLDs and forwarders
	QueuedPerZone             = 2400          // that wait for one of a zone's places
	QueuedPerServer           = 8192          // of one zone among others a third; beyond PendingPerWorker nothing waits
	QueuedInVain              = 400           // of a zone or a server, or for one zone among a server's, when nothing is answered
	VainPlaces                = 25            // questions without an answer, one after the other
	VainTime                  = UDPMaxTimeout // since the first of them, for late answers may come
	ZoneBranches              = 8             // labels of a zone's name by which a server's places are shared
	HurriedPerZone            = 25            // questions that wait for a zone; with more none is hurried on to its next server
)

// Proofs (DNSSEC).
const (
	MaxVerifyPerRRset = 4  // signatures and keys tried for one set
	MaxKeysSameTag    = 2  // keys of a zone with one tag and algorithm
	MaxKeysPerSet     = 20 // DNSKEY records of a zone
	MaxDSPerZone      = 8
	NegativeTrial     = time.Minute // between two tries to do without a negative anchor
	BootstrapFile     = 256 << 10
	AnchorFile        = 1 << 20 // octets of a file of trust anchors
	BootstrapTime     = 30 * time.Second
	AnchorLockMade    = 100 * time.Millisecond // for whoever makes the lock of a key file to open it to others
	AnchorChecks      = 32                     // of signatures, for one look at the keys of a zone that are trusted
	RSAMinBits        = 512
	RSAMaxBits        = 4096
	RSAMaxExponent    = 1<<32 + 1
	NSEC3Iterations   = 50 // above, a zone's denials are insecure (RFC 9276, section 3.2)
	NSEC3PerResponse  = 8
	ListenerHash      = 16 // blocks hashed by a listener's thread for one question
	AggressiveHashes  = 16 // names hashed to look one up among known NSEC3 sets
)

// Time of one client query and of one attempt upstream.
const (
	RequestDeadline   = 10 * time.Second
	DeadlineStep      = 100 * time.Millisecond // by which requests that begin together may end too early
	UDPFirstTimeout   = 400 * time.Millisecond // for a server whose RTT is unknown
	UDPMinTimeout     = 50 * time.Millisecond
	UDPMaxTimeout     = 2 * time.Second
	UDPRound          = 800 * time.Millisecond  // until all of a zone's unknown servers are asked, after the first trouble
	UDPHurry          = 100 * time.Millisecond  // until a server beside an unknown one is asked, if the servers of a zone are few
	LateAnswer        = 4 * time.Second         // is waited for after its timeout
	NonsenseTime      = time.Second             // at most, until a question that was answered with nonsense is asked again
	NonsenseLate      = 2500 * time.Millisecond // after it was sent, until its answer is given up
	LateAnswers       = 1024                    // that are waited for at once, per worker
	CookieSecretLife  = 24 * time.Hour          // RFC 7873, section 7.1, says below 36 days
	SilentTime        = 3 * time.Second         // at least, until a server is left alone
	TCPConnectTimeout = 2 * time.Second
	TCPAnswerTimeout  = 4 * time.Second
	UpstreamPortTries = 10 // draws of a source port until one is free
	GuessesPerPort    = 32 // different wrong answers that a question may get at one port and still believe an answer there
	GuessedPorts      = 3  // ports that a question may leave because of guesses
)

// Sockets towards servers, per worker.
const (
	DescriptorPauseMin   = 5 * time.Millisecond // until a question that found no descriptor looks again, at first
	DescriptorPauseMax   = 100 * time.Millisecond
	DescriptorsFree      = 16          // the share of all descriptors that questions leave to what else is opened
	UpstreamSockets      = 4096        // UDP sockets at once, one for each question in flight
	UpstreamSocketUses   = 8           // questions to one server, one after the other, by one socket
	UpstreamSocketLife   = time.Second // then it carries no further question
	UpstreamIdleSockets  = 256         // that wait for another question
	CookiesKept          = 8192        // servers whose cookies are known
	UpstreamGuessBuffer  = 1 << 20     // octets of datagrams that may wait where somebody guesses
	UpstreamTCPConns     = 256
	UpstreamTCPPerServer = 16
	UpstreamTCPInFlight  = 64                     // questions in flight on one connection
	UpstreamTCPIdle      = 12 * time.Second       // then a connection is closed
	UpstreamIdleMost     = time.Minute            // where the server keeps it longer, and says so (RFC 7828)
	UpstreamTCPStrays    = 16                     // messages nobody asked for, or questions without an answer, until a connection is given up
	UpstreamStreamWait   = 500 * time.Millisecond // that a server may allow no further question on a connection, until it is asked on another
	UpstreamUnheard      = 2 * time.Second        // that what was sent on a connection may be unconfirmed, until it is given up
	UpstreamHandshake    = 3 * time.Second        // for TLS or QUIC, once there is a connection
	UpstreamHTTPHeader   = 16 << 10               // octets of the header of a server's answer by HTTPS
	UpstreamHTTPBuffer   = 128 << 10              // octets of answers that may wait on a connection by HTTPS
	UpstreamSessions     = 1024                   // of TLS that can be resumed, and servers that the log has named
	StrangerSaid         = time.Minute            // until the log names a server again that did not prove who it is
)

// Messages and names.
const (
	MaxRRsFromClient      = 4
	MaxTypesPerName       = 100
	PointerHopsPerName    = 16
	PointerHopsPerMessage = 32 << 10 // five for each record that a message has room for
	ExpandedNameBytes     = 512 << 10
	CompressionOctets     = 1 << 20 // hashed and compared in one reply to find names to point to
	EDNSOptionsPerMessage = 32
	UDPPayload            = 1232 // offered upstream (RFC 9715)
	DefaultBufsize        = 4096 // net.bufsize, towards clients
	MinBufsize            = 512
	PaddingBlock          = 468  // net.tls_padding(true); RFC 8467, section 4.1
	MaxPaddingBlock       = 4096 // that net.tls_padding takes
	MaxBufsize            = 65535
)

// TTLs in seconds. Min, max and negative are defaults that the operator may
// change.
const (
	DefaultMinTTL = 5
	DefaultMaxTTL = 518400 // six days, the manual's
	MaxNegTTL     = 3600
	BogusTTL      = 60
	ServfailTTL   = 5
	ServfailMax   = 300

	CaselessLife   = 300 // until a denial is asked about in lower case again
	InquiryRenewal = 2   // keys and DS sets that were asked anew are not asked anew once more
)

// What is known about servers, shared by all workers.
const (
	ServersKept     = 32768 // addresses
	ServersTries    = 64    // to read or change what others are changing
	ServersStuck    = 100 * time.Millisecond
	ServersGate     = 500 * time.Millisecond // to wait for another process that makes the file
	Leases          = 4096                   // questions that workers tell each other about
	LeaseLife       = 400 * time.Millisecond
	LeasePoll       = 20 * time.Millisecond // between looks for others' answers
	AskAtOnce       = 4                     // workers that ask the same at once
	ExploringAtOnce = 64                    // questions that are asked only to learn about servers
	ExploringAhead  = 20 * time.Millisecond // for such a question to leave, until the client's does
	ServersShown    = 512                   // by worker.upstreams()
	RTTLife         = 30 * time.Minute      // then a server is as good as unknown
	RTTHalf         = 5 * time.Minute       // without an answer, until a server counts as twice as fast
	TimeoutsLife    = 10 * time.Minute      // then timeouts are forgotten
	NoEDNSLife      = time.Minute           // then EDNS is tried again (HARDENING A9)
	AbilityLife     = time.Hour             // then letter case and UDP are
	DeadAtMost      = 24 * time.Hour
	TLSPersistence  = 72 * time.Hour         // since its last answer, a server is asked over TLS at once (RFC 9539, section 4.3)
	TLSDamping      = 24 * time.Hour         // after a failure, until TLS is tried again (the same)
	TLSProbe        = 4 * time.Second        // to find out whether a server can be asked over TLS (the same)
	TLSProbes       = 3                      // servers that one request finds that out of
	ServersAlone    = 64 << 10               // addresses, and lame servers by zone, that one worker remembers itself
	LostTogether    = 200 * time.Millisecond // timeouts within it are one event: a lost burst is no dead server
	DeadProbe       = time.Second            // between questions that look whether a dead server is back
	AbilitySigns    = 2                      // that a server lacks something, for proof: one may be forged or chance
	NoRoutePause    = time.Second            // until a family without a route is tried again
	OutgoingSaid    = time.Minute            // until the log names an outgoing address again that cannot be bound
	FamilyPatience  = 4                      // addresses of a family unreachable in a row, until the family is left out
)

// The cache.
const (
	MaxCacheEntryBytes = 64 << 10
	MaxProofBytes      = 8 << 10 // NSEC and NSEC3 sets with signatures; an honest denial has a third of it
	DefaultCacheSize   = 100 << 20
	MinCacheSize       = 8192
	MaxCacheSize       = 1 << 44 // octets; more than a process has addresses for helps nobody
	ChecksRemembered   = 16384   // signatures that a worker need not check once more
	HashesRemembered   = 4096    // of names in chains of NSEC3, as many by the cache as by validation
	CaselessDenials    = 4096    // of which a worker knows that they do not hang on letter case
	InquiriesKept      = 4096    // questions for keys and DS sets of which a worker knows that they failed, or were asked anew
	KeySetsAtHand      = 4096    // zones whose keys a worker keeps decoded
	KeyOctetsAtHand    = 8 << 20 // of the RDATA of these keys; as many zones with three keys of RSA and 2,048 bits have 3 MB
	CutsAtHand         = 1024    // delegations that a worker keeps as they were read, for a second
	GapZones           = 4096    // that a worker notes to have answers for gaps in the cache
	WriteBatchEntries  = 200
	WriteBatchTime     = 2 * time.Millisecond
	ExportEntries      = 1000    // of a copy that are written at once
	ExportBytes        = 1 << 20 // of a copy that are written at once
	ExportVain         = 1000    // looks in a row that bring nothing, until the map is taken for unreadable
	WriteQueueEntries  = 16384
	WriteFailures      = 3 // within WriteFailureWindow, then no writes for WriteFailurePause
	WriteFailureWindow = 10 * time.Second
	WriteFailurePause  = 60 * time.Second
	ClearChunk         = 100 // default chunk_size of cache.clear
	CollectHighPercent = 75
	CollectLowPercent  = 65
	CollectHardPercent = 90
	CacheCheckTime     = 2 * time.Second // what a throw-away child may take to walk a suspect file
	CacheReopenMin     = time.Second     // pause until a lost cache is tried again, doubling
	CacheReopenMax     = 30 * time.Second
)

// Clients.
const (
	PendingPerWorker    = 4096 // questions on the driver's way
	LargeQuestions      = 64   // of them that are longer than UDPQuery
	PendingYoung        = 200 * time.Millisecond
	WaitersPerClient    = 1000
	LateUDPReply        = 1900 * time.Millisecond
	LateUDPWaiters      = 50
	PaceWaiters         = 50                      // questions of a client that wait, until its answers keep a pace
	PacePercent         = 150                     // of its questions' pace
	PacePeriod          = 2 * time.Second         // over which that is measured, and as long before
	PaceMost            = 3500 * time.Millisecond // that an answer is kept for it
	PaceSlack           = 4 * time.Millisecond    // by which answers may be ahead of it
	ClientLimitMost     = 1 << 16                 // that an operator may set for one of these (net.limits)
	Forwarders          = 256                     // addresses and networks of net.forwarders
	TCPConnsPerWorker   = 1024
	TCPConnsPerClient   = 32
	CrowdPerSecond      = 2000                  // connections that a worker takes in when each costs another its place, or is refused
	CrowdSlack          = 10 * time.Millisecond // by which they may be ahead of that
	UDPBusy             = 500                   // questions by UDP a second, per worker, from which on clients that only come have less than all of a processor
	UDPBusyLook         = 20 * time.Millisecond // between two looks at that
	ComingPerSecond     = 4000                  // connections that a worker takes in then
	TLSPercent          = 25                    // of a processor for handshakes then
	TLSTurnMost         = 2 * time.Millisecond  // that one turn of a handshake counts for
	RationPause         = 10 * time.Millisecond // at most, between two of them
	OwnPerSecond        = 50                    // connections of one client that take the places of others of its own; further ones are refused
	OwnSlack            = time.Second           // by which they may be ahead of that
	SourcesKept         = 4096                  // clients whose doings on connections are counted
	SourceOffences      = 60                    // of a client in SourcePeriod, over all its connections; if they are half of what it asks, none is taken in for the rest of it
	SourcePeriod        = 10 * time.Second
	DefaultTCPPipeline  = 100
	TCPIdle             = 10 * time.Second
	TCPWholeMessage     = 5 * time.Second
	TCPSendStall        = time.Second
	TLSHandshakes       = 1 // that a worker computes at a time, each a fraction of a millisecond
	TLSHandshake        = 6 * time.Second
	TicketSecretMin     = 32 // octets of net.tls_sticket_secret
	TicketSecretMost    = 1024
	CertificateFile     = 1 << 20              // octets of a file with certificates or a key
	CertificateLife     = 90 * 24 * time.Hour  // of one that is made here
	CertificateRenewal  = 7 * 24 * time.Hour   // before its end
	WatchPatience       = 5 * time.Second      // with a directory where something changes all the time
	WatchQuiet          = time.Second          // after the last change of a file, until it is read again
	WatchLook           = time.Minute          // between two looks at files, for changes that the system did not tell
	CertificateLock     = time.Second          // that another process may take to make the key of the one that is made here
	CertificateLockLook = 5 * time.Millisecond // between two looks whether it has made it
	CertificateKeyTries = 8                    // to find the key's file where others replace it at the same time
	CertificateEndMonth = 30 * 24 * time.Hour  // before an operator's certificate expires, which is told
	CertificateEndWeek  = 7 * 24 * time.Hour
	CertificateEndDay   = 24 * time.Hour
	TCPSendBuffer       = 64 << 10
	AcceptBackoffMin    = 10 * time.Millisecond
	AcceptBackoffMax    = time.Second
	UDPBatch            = 64
	UDPReceiveBuffer    = 4 << 20
	ClientPortLeast     = 1024            // UDP source ports below belong to services, which ask nothing from there
	DrainAnswerTime     = 4 * time.Second // then SERVFAIL for what still waits
	DrainTime           = 5 * time.Second
	DrainGrace          = 200 * time.Millisecond // of it, for what comes behind the answers
	FormerrPerSecond    = 50                     // per listener; further garbage gets silence
)

// Clients that ask by HTTP. What net/http keeps within its limits, of HTTP/1.1, it tells
// nobody.
const (
	HTTPConns            = 300              // of TCPConnsPerWorker, and in proportion where net.limits allows more
	ShareOfFree          = 4                // free places for each that a client has, or it gets no more (Shares)
	HTTPStreams          = 100              // open on one connection by HTTP/2
	HTTPHeaders          = 8 << 10          // octets of a request's head
	HTTPHeaderTime       = 3 * time.Second  // for a request's head, since its first octet
	HTTPRequestTime      = 8 * time.Second  // for all of a request
	HTTPBody             = 65535            // octets: the longest message
	HTTPFirstRead        = 512              // octets that a body's reader has at first
	HTTPSmallBody        = 4 << 10          // octets, and then HTTPBody if it is one of HTTPLargeBodies
	HTTPBodies           = 1024             // that are read at once
	HTTPLargeBodies      = 64               // of them that are that large
	HTTPQuestion         = 512              // octets of a GET's message
	HTTPRequests         = 4096             // in hand at once; further ones get 503
	HTTPUnasked          = 128 << 10        // octets that a connection may send beside its bodies and HTTPPerRequest for each of its requests
	HTTPPerRequest       = 2 << 10          // a request's head, with what encrypts it
	HTTPOffences         = 20               // requests that a connection may give up, and violations; if they are half of its requests, it ends
	HTTPFrames           = 100              // frames of HTTP/2 that ask nothing, of a connection, beside HTTPFramesPerRequest
	HTTPFramesPerRequest = 8                // for each of its requests
	HTTPNames            = 64               // paths, or headers, that an operator names
	HTTPWrite            = 5 * time.Second  // for a client to take a response
	HTTPBuffer           = 64 << 10         // octets that a body by HTTP/2 may have, with what pads it
	HTTPUnwanted         = time.Second      // for the rest of a request by HTTP/2 that is refused
	HTTPUnread           = time.Millisecond // for what has come while nobody read
)

// What modules remember and how old it may be.
const (
	FrequentNames   = 5000             // questions that stats.frequent counts
	UpstreamTrips   = 512              // round trips that stats.upstreams shows
	BogusLogPause   = 10 * time.Minute // for which a name that bogus_log has told is not told again
	BogusLogLines   = 60               // names that bogus_log tells in a minute; others are only counted
	StaleTimeout    = 3 * time.Second  // serve_stale.timeout
	StaleAge        = 24 * time.Hour   // how long ago a stale answer may have ended
	StaleAgeAtMost  = 7 * 24 * time.Hour
	StaleTTL        = 1        // seconds
	StaleRefreshing = 32       // questions that are tried further behind a stale answer
	StaleTold       = 512      // answers of old delegations' servers that are at hand, for ServfailTTL
	HostsLine       = 64 << 10 // octets of a line of a hosts file
	HostsWarnings   = 20       // wrong lines of a hosts file that the log names one by one

	ListFile     = 256 << 20 // octets of a response policy zone
	ListLine     = 64 << 10  // of a record in it, with all its lines
	ListWarnings = 20        // wrong records that the log names one by one
	ListOctets   = 512 << 20 // of the names of a list, as they are kept
	ListSets     = 64 << 20  // of different sets of data with which its names are answered
	ListData     = 4 << 10   // of the data of a name
	ListOnHeap   = 1 << 20   // octets of a list's names, with more they are not on the heap
	SlicedNames  = 64 << 10  // whose registrable domain policy.slice_randomize_psl remembers, for answers from the cache on the thread that received the question
	ListPrepared = 1024      // sets that are answered on the thread that received the question
)

// The query log.
const (
	QueryLogRing  = 1 << 20               // octets of questions that wait for being written, per listener's thread
	QueryLogPause = 10 * time.Millisecond // in which questions come together before they are written
	QueryLogBatch = 64 << 10              // octets that are written at once
	QueryLogStall = time.Second           // that a receiver may take to read before lines are given up
	QueryLogEnd   = 2 * time.Second       // that a worker which ends waits for the last lines
)

// The console, its client kresc, and map().
const (
	ClientDial       = 2 * time.Second                  // for a connection of the client's to be made
	ClientWelcome    = 3 * time.Second                  // that a worker may take to show that it is one, or to say what takes no time
	ClientAnswer     = ConsoleWaitTime + 10*time.Second // for an answer: a worker ends a command before
	ClientObeyed     = 3 * time.Second                  // for an interrupted command to end
	ClientLook       = 100 * time.Millisecond           // between two looks at how far a reload has come
	ClientFigures    = 2 * time.Second                  // for a worker to give its figures
	ClientLooks      = 50                               // for another worker, where one has ended
	ConsoleClients   = 16
	ConsoleSilence   = time.Hour // until a client that sends nothing is told to go; it gives its place to others before
	ConsoleLine      = 64 << 10
	ConsoleOutput    = 1 << 20
	RuleTextNames    = 8   // names of a rule that its text has
	ConfigListed     = 100 // rules, and hints, that kresc config lists
	ConsoleRunTime   = 5 * time.Second
	ConsoleWaitTime  = 30 * time.Second       // of a command, with all that it waits for
	EventRunTime     = 60 * time.Second       // of the code of an event
	LuaTurn          = 500 * time.Millisecond // of it, until a command that waits comes between
	LuaHookTurn      = LuaLongRun             // of it, or of a command, until what requests wait for comes between
	LuaHookPause     = 5 * time.Millisecond   // that it has before that comes between again
	ConsoleWrite     = 2 * time.Second
	ConsoleGone      = time.Second // that a command may run whose client has gone
	CompletionTime   = time.Second // that a client waits for what a word may become
	MapAssembly      = time.Second // that map() waits for a group which is still starting
	MapPerWorker     = 2 * time.Second
	MapConnect       = 200 * time.Millisecond
	MapAccept        = 5 * time.Second        // for a leader that runs to accept a call
	MapSilence       = 3 * time.Second        // of a leader, then the result is unknown
	ConsoleRelays    = 64                     // connections of map() beside those of clients
	ConsoleProbation = 500 * time.Millisecond // to show that a connection above ConsoleClients is map()'s
	ConsoleTenure    = 400 * time.Millisecond // of silence before a client may lose its place to another
	ConsoleSeat      = 5 * time.Second        // that a client above ConsoleClients waits for a place
	ConsoleSeatLook  = 20 * time.Millisecond  // between two looks for one
	LuaString        = 16 << 20
	LuaMemory        = 256 << 20 // octets of the heap that a command or a callback takes
	LuaValues        = 1 << 20   // of one text of JSON
	LuaNesting       = 10_000    // of arrays and objects of JSON in each other
	LuaDownload      = 64 << 30  // octets of the body of an answer over HTTP
	LuaDownloadTime  = 30 * time.Minute
	LuaHeader        = 256 << 10 // octets of the headers of an answer over HTTP
	LuaHooksAside    = 256       // functions that requests wait for and that wait themselves
	LuaEventsAside   = 64        // callbacks of events that wait and let others run meanwhile
	LuaThreads       = 1 << 14   // coroutines that have not ended; one takes some 8 KiB
	LuaMapEntries    = 1 << 20   // of a kres.lru
	LuaMapKeys       = 64 << 20  // octets of all its keys; it drops entries beyond
	LuaZoneRecords   = 1 << 18   // that are read of one zone file
	LuaZoneOctets    = 64 << 20  // of a zone file
	ShownEntries     = 1000      // that cache.get() lists
	LuaPatternSteps  = 1 << 22
	NamePatternSteps = 1 << 14                // of a pattern over a question's name
	ScriptRequests   = 256                    // questions of resolve() under way at once
	LuaEvents        = 1 << 17                // timers and watched descriptors of a worker's scripts
	LuaLongRun       = time.Second            // of a script without a pause, then the log says where it is
	LuaLongPause     = 10 * time.Second       // between two such lines
	LuaHungUpPause   = 100 * time.Millisecond // between two calls for a descriptor whose other end is gone
	LuaLookupTime    = 30 * time.Second       // of one name that the library socket looks up
	LuaHandshakeTime = 30 * time.Second       // of a handshake of TLS that a script begins
	LuaErrorPause    = time.Minute            // between two reports of one error of a callback or a hook
	LogKinds         = 256                    // of lines that the log tells seldom
	LuaHookTime      = 2 * time.Second        // what a function of a script may take over one request, with what it waits for
	LuaHookRun       = 500 * time.Millisecond // what it may run of that: other requests wait for the same machine
	LuaHookWait      = 4 * time.Second        // that a request waits for the machine, before such a function begins
	LuaPipeTime      = 5 * time.Second        // that a script waits for one read or write of a FIFO, a terminal or a device
	LuaCommandTime   = time.Minute            // that a command of a script may run, or let it wait for one read or write
)

// Configurations that are only tried (kresd --check-config), and scripts that are all
// that a worker does (kresd --script).
const (
	CheckTime       = 10 * time.Second // that one may run
	CheckRead       = 2 * time.Second  // that a file may take which somebody else writes
	CheckGrace      = 10 * time.Second // that its process may take beside
	CheckRounds     = 100              // times that it is run, each time without what was wrong before
	CheckReport     = 1 << 20          // octets of what it says to a program
	ScriptCache     = 16 << 20         // octets of the cache that a script has
	ScriptEventTime = 10 * time.Second // of one of its callbacks
)

// Rules.
const (
	MissesTold      = 16      // readings in vain that may be why an address is missing
	ForwardTargets  = 4       // addresses of one FORWARD or STUB
	AuthoritiesFile = 4 << 20 // octets of a file of certificates (ca_file)
	DenyMessage     = 255     // octets of DENY_MSG's text
	Identity        = 255     // octets of nsid.name
	RequestTrace    = 1 << 16 // octets that DEBUG_ALWAYS and its like keep of one request
)

// What clients are told of encrypted transports (DDR).
const (
	DesignationLife  = time.Second // until it is worded anew
	DesignationAddrs = 256         // of this host, for which it is at hand
	DesignationHints = 16          // addresses of one transport that are named
)

// Processes.
const (
	RestartBackoffMin = 50 * time.Millisecond
	RestartBackoffMax = 5 * time.Second
	RestartGap        = 100 * time.Millisecond // between two starts of one worker
	RestartSoon       = time.Second            // a worker that ends so soon after it was ready is started again later each time
	RestartSoonMax    = time.Second            // and at the latest after this, where nobody else serves
	MaxForks          = 1024
	LogLine           = 4096                    // octets of a line of the log, then it is cut
	LogValue          = 256                     // octets of a value in it
	LogRing           = 1 << 20                 // octets of log that wait for a slow reader before lines are dropped
	StartAttempts     = 5                       // deaths before READY until a group gives up
	ReloadErrors      = 20                      // that are told of one reload that failed
	ReloadRuns        = 8                       // of reloads that have ended, whose outcome is known
	ReloadErrorText   = 500                     // octets of each
	KeptConfiguration = 64 << 20                // octets of code in force that are kept for who takes a dead process's place
	KeptData          = 32 << 20                // octets of data that it has read which are kept beside it
	AliveEvery        = 400 * time.Millisecond  // a worker says that it answers itself
	HealthTries       = 3                       // times that the question is sent: one of them may be lost
	HealthTime        = 1500 * time.Millisecond // that a worker may take to answer itself, asked by kresc status
	AliveAnswer       = 8 * time.Second         // that the answer may take, longer than a script may
	AliveSure         = 800 * time.Millisecond  // without an answer that waits for nobody, until a worker says that it hangs
	AliveLook         = 200 * time.Millisecond  // between two looks at who is silent
	AliveIdle         = 15 * time.Millisecond   // of processors that a worker which hangs uses at most
	HangTime          = 1200 * time.Millisecond // that a worker may be silent while it does nothing, unless KRESD_HANG_TIME says otherwise
	HangBusy          = 10 * time.Second        // that one may which does something
	ReadyTime         = 60 * time.Second        // that a worker's successor may take to be ready while the worker serves on
	StartTime         = 5 * time.Minute         // that a worker may take to be ready while nobody serves in its place, unless KRESD_START_TIME says otherwise
	RollRetryMin      = time.Second             // until what a reload has left is replaced at another try, doubling
	RollRetryMax      = time.Minute
	OrphanTime        = 5 * time.Second
	VersionTime       = 5 * time.Second        // that a program may take to say its version
	LastWordsTime     = 500 * time.Millisecond // that the messages of a worker which has ended are waited for
	LastWords         = 4096                   // octets of what the Go runtime says of a crash; what matters stands at the beginning
	FlushTime         = 500 * time.Millisecond // for the last lines of a log, or the last writes to the cache
	QuarantineDeaths  = 2                      // deaths by a fault signal within QuarantineWindow
	QuarantineWindow  = 10 * time.Second
	ClockJump         = 10 * time.Minute
	GCBallast         = 10 << 20 // octets that count as heap and are never touched
	HeapPercent       = 60       // of the memory that all workers of a group have: their heaps
	HeapLeast         = 24 << 20 // octets of heap that a worker has however little memory there is
	HeapBase          = 16 << 20 // octets of it beside questions that wait
	HeapPerQuestion   = 24 << 10 // octets of it that a question which waits may come to, with its garbage
	IPCFrame          = 1 << 20
	IPCSendTime       = time.Second     // that one process of a group waits for another to take a message
	BindTime          = 5 * time.Second // that the supervisor may take to bind a socket for a worker
	RequestsAsked     = 64              // requests of one worker to its supervisor that are not answered yet
	HandedSockets     = 240             // of one worker that are kept for its death, the lifeline too; the kernel passes at most 253
	HandOverTime      = time.Second     // that a lone worker's sockets wait for its successor
)

// ExtraAddrs is how many addresses beyond two of each name server one question considers, of
// a zone with so many name servers. The only one of a zone may have about as many as many
// with one each: a question to the zone costs no more by it.
func ExtraAddrs(servers int) int {
	return ExtraAddrsPerCut + max(0, MaxNSPerDelegation-servers)
}

// UselessAnswers is how many answers of no use one question takes from a zone with so many
// name servers. Each address that is considered of the only one may be the good one; of many
// name servers not even all are asked twice.
func UselessAnswers(servers int) int {
	return max(UselessPerZone, 2+ExtraAddrs(servers))
}
