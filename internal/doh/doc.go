// Package doh is what DNS over HTTPS (RFC 8484) says about one exchange: which
// message a request carries, or with which status it is turned away, and how long
// caches may keep the response.
//
// It opens nothing and answers nothing: connections, their limits and the answers
// are package listen's. Package http reads the requests' heads; everything that
// an outsider wrote behind them is bounded here.
package doh
