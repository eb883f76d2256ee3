// Package bootstrap fetches the first trust anchors of the root from IANA (RFC
// 9718): root-anchors.xml by HTTPS, and root-anchors.p7s, a detached signature over
// it.
//
// What is believed is the signature, by a pinned certificate of ICANN, whoever the
// server is and by whomever the chain of its TLS certificate is vouched for: a chain
// that this machine does not trust is told and no more. Where the pinned certificate
// is the built-in one, the anchors also have to agree with the built-in ones, of
// which at least one must be among them; that protects against a clock that is wrong
// by years and against a certificate in the wrong hands. An operator's own
// certificate vouches for anchors of the operator's own.
//
// fetch.go gets the two files, verify.go judges them, anchors.go reads them. Nothing
// is written here: the key file is package trustanchor's.
package bootstrap
