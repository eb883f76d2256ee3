// Package doh is what DNS over HTTPS (RFC 8484) says about a request: which message
// it carries, or with which status it is turned away.
//
// It opens nothing and answers nothing: connections, their limits, the answers and
// how long caches may keep them are package listen's. Package http reads the requests' heads; everything that
// an outsider wrote behind them is bounded here.
package doh
