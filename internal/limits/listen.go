package limits

import "time"

// How a listener reads, writes and leaves.
const (
	UDPQuery         = 4096                   // octets of a query that are read; who sends more gets FORMERR
	ProxyHeader      = 512                    // octets of a header of the PROXY protocol
	QUICStreamWindow = 4 << 10                // octets of a message that a client may send at once; longer ones follow as they are read
	QUICConnWindow   = 128 << 10              // of all messages of a connection
	QUICSmall        = 1400                   // octets of an answer over QUIC that need not wait for its client
	QUICPassed       = 256                    // packets that other workers have passed on and nobody has looked at
	QUICPassedSize   = 2 << 10                // octets of one, with what the kernel said of it; clients send less (RFC 9000, section 14)
	QUICUnverified   = 16                     // handshakes under way, then clients must prove their addresses first
	QUICHandshakes   = 256                    // and none is taken: as many as a worker does in a sixth of a second, for the clients of one that was killed
	QUICTurn         = 5 * time.Millisecond   // at most to compute the answer to a client's hello, before others' turn comes
	QUICAtOnce       = 2 * time.Millisecond   // for the rest of a question that has begun to come, before others are looked at
	QUICSlowStreams  = 1024                   // questions of which a part has not come, per worker
	QUICProbe        = 50 * time.Millisecond  // for a packet that others are to pass on, which shows that they do
	QUICProbes       = 4                      // such packets, until it is taken that nobody does
	LeaveQUIC        = 300 * time.Millisecond // for the answers of a socket that leaves, before it leaves its group, and for a client to read the last of its connection
	TCPWriteChunk    = 16 << 10               // must leave within TCPSendStall
	TCPLinger        = 500 * time.Millisecond // for the client's end after ours, so that no reset overtakes answers
	HandshakeGrace   = 500 * time.Millisecond // for handshakes begun at a socket that leaves; clients repeat new ones after a second
	LeaveQuietUDP    = 50 * time.Millisecond  // without a datagram, until a socket that left its group is closed
	LeaveQuietTCP    = 20 * time.Millisecond  // without a query, until a leaving worker ends a connection
	LeaveFirstTCP    = 500 * time.Millisecond // for the first query of a connection, since it was accepted
	LeaveStuck       = 200 * time.Millisecond // that a UDP socket is served on if it could not leave its group
	LeaveFlush       = 500 * time.Millisecond // for the last answers when DrainAnswerTime is over
	IdleResolvers    = 512                    // goroutines of the driver's way that wait for a next query
	FreePortTries    = 16                     // draws of a port until one is free for all kinds of sockets that are to have it
	AwaitAddress     = time.Second            // between two looks for addresses that the machine does not have yet
	ReceptionCheck   = 10 * time.Millisecond  // between checks whether the goroutine that carries a question receives, too
	UnscheduledWait  = time.Millisecond       // that a listener's thread may wait without the scheduler's knowledge
)
