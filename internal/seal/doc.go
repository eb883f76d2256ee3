// Package seal keeps this process from acting outside of its memory: the kernel
// refuses what would make or change files, open sockets or run programs (seccomp,
// SECCOMP_MODE_FILTER), with "operation not permitted". What is open already can be
// read and written, and files can be opened to be read.
//
// It is the wall behind kresd --check-config, which promises that a configuration
// changes nothing while it is tried, whatever that configuration calls. It does not
// hide files, and limits neither time nor memory. There is no way back.
package seal
