// Package daf is the module daf, the DNS application firewall: rules as one line of text,
//
//	qname = bad.example and src = 10.0.0.0/8 deny
//
// A rule becomes one of package rules (rule.go, which reads the text; actions.go) and stands
// among those of policy, in the order of addition, so that it decides where and as these do,
// on both ways. This package keeps the texts, by which a rule is added once, and the switches
// (daf.go). While the module is not loaded its rules are suspended.
package daf
