package limits

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// counts says which constants are behind which counter.
var counts = map[ID]string{
	UpstreamPerRequest: "MaxUpstreamPerRequest",
	UpstreamPerFetch:   "MaxUpstreamPerFetch",
	UpstreamBytes:      "MaxUpstreamBytesPerRequest",
	TCPConnsRequest:    "MaxTCPConnsPerRequest",
	SignatureChecks:    "MaxVerifyPerResponse MaxVerifyPerRequest",
	FailedChecks:       "MaxFailedPerResponse MaxFailedPerRequest",
	HashUnits:          "MaxHashPerResponse MaxHashPerRequest",
	HashedNames:        "AggressiveHashes",
	RecursionDepth:     "MaxRecursionDepth",
	CNAMEChain:         "MaxCNAMEChain",
	PlanQueries:        "MaxQueriesPerPlan",
	Iterations:         "MaxIterationsPerRequest",
	QnameSteps:         "QnameMinSteps QnameMinOneLabelSteps",
	NSPerDelegation:    "MaxNSPerDelegation NSKeptPerDelegation",
	AddrsPerNS:         "ExtraAddrsPerCut ExtraAddrsKept",
	NSAddrFetch:        "NSAddrFetchPerReferral NSAddrFetchPerRequest",
	UnresolvableNS: "UnresolvableNSPerRequest BadNSZones BadNSZonesTried ZoneInVain " +
		"SilentInLookups SilentZones SilentZonesTried",
	Throttled:         "UnresolvableNSThrottle",
	UselessServers:    "UselessPerZone RefusalsPerZone RefusedPerZone",
	Deadline:          "RequestDeadline DeadlineStep",
	RRsFromClient:     "MaxRRsFromClient",
	NameBytes:         "PointerHopsPerName PointerHopsPerMessage ExpandedNameBytes",
	EDNSOptions:       "EDNSOptionsPerMessage",
	CompressedNames:   "CompressionOctets",
	TypesPerName:      "MaxTypesPerName",
	CacheEntryBytes:   "MaxCacheEntryBytes",
	ProofBytes:        "MaxProofBytes",
	Pending:           "PendingPerWorker PendingYoung LargeQuestions",
	WaitersClient:     "WaitersPerClient",
	LateReply:         "LateUDPReply LateUDPWaiters",
	Paced:             "PaceWaiters PacePercent PacePeriod PaceMost PaceSlack",
	TCPConns:          "TCPConnsPerWorker TCPConnsPerClient HTTPConns OwnPerSecond OwnSlack",
	TCPCrowd:          "CrowdPerSecond CrowdSlack ComingPerSecond UDPBusy UDPBusyLook",
	Offences:          "SourcesKept SourceOffences SourcePeriod",
	HTTPSize:          "HTTPBody HTTPQuestion",
	HTTPRequest:       "HTTPRequests HTTPBodies HTTPLargeBodies HTTPSmallBody ShareOfFree",
	HTTPStream:        "HTTPStreams",
	HTTPFlood:         "HTTPOffences HTTPFrames HTTPFramesPerRequest HTTPUnasked HTTPPerRequest",
	TCPPipeline:       "DefaultTCPPipeline",
	TCPTime:           "TCPWholeMessage TCPSendStall TCPSendBuffer TCPWriteChunk HTTPRequestTime",
	TLSTime:           "TLSHandshake",
	Proxy:             "ProxyHeader",
	QUIC:              "QUICHandshakes QUICSlowStreams",
	TLSTurns:          "TLSHandshakes TLSPercent TLSTurnMost RationPause",
	Formerr:           "FormerrPerSecond",
	OutstandingServer: "MaxOutstandingPerServer QueuedPerServer QueuedInVain OutstandingInfrastructure",
	OutstandingZone:   "MaxOutstandingPerZone QueuedPerZone OutstandingInfrastructure",
	UpstreamSocket:    "UpstreamSockets",
	UpstreamTCP:       "UpstreamTCPConns UpstreamTCPPerServer UpstreamTCPInFlight",
	Events:            "LuaEvents",
	Console:           "ConsoleClients ConsoleLine ConsoleOutput ConsoleRelays ConsoleProbation ConsoleTenure ConsoleSeat ConsoleSeatLook ConsoleSilence ConsoleWrite",
}

// uncounted are the other constants, by why nobody counts what they keep away.
var uncounted = map[string]string{
	"what a check or a script of a user's may take; it says so": `
		CheckTime CheckGrace CheckRounds CheckReport ScriptCache
		ScriptEventTime ReloadErrors ReloadErrorText ReloadRuns
		KeptConfiguration KeptData
		ClientDial ClientWelcome ClientAnswer ClientObeyed ClientLook
		ClientLooks ClientFigures CheckRead`,
	"defaults and ranges of what an operator sets": `
		DefaultNSTimeout DefaultBufsize MinBufsize MaxBufsize PaddingBlock
		MaxPaddingBlock
		DefaultMinTTL DefaultMaxTTL DefaultCacheSize MinCacheSize
		MaxCacheSize ClearChunk ClientLimitMost StaleTimeout
		StaleAge StaleAgeAtMost StaleTTL UDPPayload`,
	"refused with an error that says so": `
		LuaString LuaMemory LuaNesting LuaDownload LuaDownloadTime LuaHeader LuaPatternSteps NamePatternSteps ScriptRequests
		LuaHookTime LuaHookRun LuaHookWait LuaPipeTime LuaCommandTime
		LuaThreads LuaEventsAside LuaHooksAside LuaValues Forwarders ConsoleRunTime ConsoleWaitTime ConsoleGone
		CompletionTime EventRunTime MapAssembly MapPerWorker MapConnect
		MapAccept MapSilence AnchorLockMade AnchorChecks
		BootstrapFile AnchorFile BootstrapTime NegativeTrial HostsLine
		ListFile ListLine ListWarnings ListOctets ListSets ListData ListOnHeap ListPrepared SlicedNames
		TicketSecretMin TicketSecretMost CertificateFile
		CertificateKeyTries
		LuaMapEntries LuaMapKeys LuaZoneRecords LuaZoneOctets ShownEntries
		RuleTextNames ConfigListed
		MissesTold
		HostsWarnings ForwardTargets AuthoritiesFile DenyMessage Identity RequestTrace
		HTTPNames MaxForks IPCFrame ServersShown StartAttempts
		RequestsAsked BindTime`,
	"inside one proof, whose Meter counts": `
		MaxVerifyPerRRset MaxKeysSameTag MaxKeysPerSet MaxDSPerZone
		RSAMinBits RSAMaxBits RSAMaxExponent NSEC3Iterations
		NSEC3PerResponse`,
	"what falls below is counted as ignored":                                                    "ClientPortLeast",
	"kept by net/http, which tells nobody, and by HTTP/2 counted with what is too long or late": "HTTPHeaders HTTPHeaderTime HTTPWrite HTTPBuffer HTTPUnwanted HTTPUnread",
	"when something is tried, given up, closed or forgotten": `
		VainPlaces VainTime ZoneBranches
		HurriedPerZone RetriesPerServer FailuresInRow
		ServersInTrouble UDPFirstTimeout UDPMinTimeout UDPMaxTimeout
		UDPHurry UDPRound NonsenseTime NonsenseLate NoRoutePause
		OutgoingSaid LuaLongRun LuaTurn LuaHookTurn LuaHookPause LuaLongPause LuaErrorPause LogKinds LuaHungUpPause LuaLookupTime LuaHandshakeTime LateAnswer CookieSecretLife SilentTime
		TCPConnectTimeout TCPAnswerTimeout UpstreamPortTries ExploringAhead
		GuessesPerPort GuessedPorts UpstreamSocketUses
		UpstreamSocketLife UpstreamTCPIdle UpstreamTCPStrays
		UpstreamStreamWait UpstreamIdleMost
		UpstreamUnheard UpstreamHandshake StrangerSaid
		UpstreamHTTPHeader UpstreamHTTPBuffer
		MaxNegTTL BogusTTL CaselessLife ServfailTTL ServfailMax ServersTries
		ServersStuck ServersGate LeaseLife LeasePoll AskAtOnce
		RTTLife RTTHalf TimeoutsLife NoEDNSLife AbilityLife
		DeadAtMost LostTogether DeadProbe AbilitySigns
		TLSPersistence TLSDamping TLSProbe TLSProbes
		FamilyPatience WriteFailures WriteFailureWindow
		WriteFailurePause CacheCheckTime
		ExportVain CacheReopenMin
		CacheReopenMax TCPIdle AcceptBackoffMin AcceptBackoffMax
		DrainAnswerTime DrainTime RestartBackoffMin
		RestartBackoffMax RestartSoon RestartSoonMax RestartGap ReadyTime StartTime OrphanTime
		DrainGrace IPCSendTime VersionTime RollRetryMin RollRetryMax
		 LastWordsTime FlushTime
		AliveEvery AliveAnswer AliveSure AliveLook AliveIdle HangTime HangBusy
		InquiryRenewal QuarantineDeaths QuarantineWindow ClockJump
		HandOverTime TCPLinger HandshakeGrace QUICProbe QUICProbes QUICAtOnce QUICTurn LeaveQUIC
		QUICUnverified LeaveQuietUDP
		LeaveQuietTCP LeaveFirstTCP LeaveStuck LeaveFlush
		CertificateLife CertificateRenewal WatchQuiet
		WatchLook CertificateLock CertificateLockLook
		WatchPatience FreePortTries
		CertificateEndMonth CertificateEndWeek CertificateEndDay
		ReceptionCheck UnscheduledWait AwaitAddress QueryLogStall
		QueryLogPause QueryLogEnd
		DescriptorPauseMin DescriptorPauseMax DescriptorsFree
		HealthTime HealthTries`,
	"room in memory: what finds none takes another way, or the oldest goes": `
		ThrottledNames LateAnswers UpstreamIdleSockets CookiesKept
		UpstreamSessions
		UpstreamGuessBuffer ServersKept Leases ExploringAtOnce
		LookupsBeside ServersAlone CutsAtHand HashesRemembered InquiriesKept CaselessDenials
		KeySetsAtHand KeyOctetsAtHand ChecksRemembered GapZones
		ListenerHash WriteBatchEntries WriteBatchTime
		WriteQueueEntries CollectHighPercent CollectLowPercent
		CollectHardPercent UDPBatch UDPReceiveBuffer FrequentNames
		BogusLogPause BogusLogLines UpstreamTrips StaleRefreshing
		StaleTold LogRing LogLine LogValue QueryLogRing
		QueryLogBatch ExportEntries ExportBytes GCBallast
		HeapPercent HeapLeast HeapBase HeapPerQuestion
		LastWords HandedSockets UDPQuery IdleResolvers
		QUICStreamWindow QUICConnWindow QUICSmall QUICPassed
		QUICPassedSize
		HTTPFirstRead DesignationLife DesignationAddrs
		DesignationHints`,
}

// Every limit has a counter that an operator can read, or a reason why not.
func TestEveryLimitIsCountedOrSaysWhyNot(t *testing.T) {
	accounted := map[string]bool{}
	Each(func(id ID) {
		if id != Cycle && counts[id] == "" { // that is no number
			t.Errorf("no constant is behind the counter %s", id)
		}
		for _, name := range strings.Fields(counts[id]) {
			accounted[name] = true
		}
	})
	for _, names := range uncounted {
		for _, name := range strings.Fields(names) {
			if accounted[name] {
				t.Errorf("%s is counted, and is not", name)
			}
			accounted[name] = true
		}
	}
	there := constants(t)
	for _, name := range there {
		if !accounted[name] {
			t.Errorf("%s has no counter, and no reason why not", name)
		}
	}
	for name := range accounted {
		if !slices.Contains(there, name) {
			t.Errorf("%s is no limit any more", name)
		}
	}
}

// constants are the exported ones of this package that are no IDs.
func constants(t *testing.T) (names []string) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") || f.Name() == "counters.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, s := range g.Specs {
					for _, n := range s.(*ast.ValueSpec).Names {
						if n.IsExported() {
							names = append(names, n.Name)
						}
					}
				}
			}
		}
	}
	return names
}
