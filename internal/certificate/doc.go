// Package certificate has the certificate by which clients of encrypted
// transports know this resolver: a pair of files that the operator names, read
// again when they change, or an ephemeral one of its own making.
//
// A pair that cannot be used replaces nothing: what is in use stays in use, and
// the error says which file is wrong and why. Files are replaced one after the
// other, by renaming, or by turning a symbolic link, so it is their directories
// that are watched, and they are read when nothing has changed for a moment.
//
// The ephemeral certificate names the host, and is signed by itself. Its key lies
// in a file that all processes of a run directory have in common, so that its pin
// (RFC 7858, section 4.2) is one and survives restarts; each process signs for
// itself.
//
// The package knows no DNS and opens no socket.
package certificate
