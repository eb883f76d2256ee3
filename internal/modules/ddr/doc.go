// Package ddr is the module ddr: it tells clients by which encrypted transports
// this resolver can be asked (RFC 9462, Discovery of Designated Resolvers), and
// what it is like (RFC 9606, RESINFO).
//
// All of it follows from what is listened on at the moment; nothing has to be
// written down twice. The names resolver.arpa and below are a zone that only
// resolvers have: they are answered here and never looked up (RFC 9462, section
// 6.4), unless the operator has something to say about them by a rule or a hint.
// RESINFO is told at resolver.arpa and at the name of this host.
//
// What is said is worded a second ahead at most: the first question of a second
// goes the driver's way and words it anew if anything has changed, the others are
// answered on the thread that received them.
package ddr
