package worker

import (
	"fmt"
	"strconv"

	"kresd/internal/logging"
)

// upstreamPortVar names the environment variable that moves the port on which
// other servers are asked: a laboratory's authorities may not be able to bind
// port 53.
const upstreamPortVar = "KRESD_UPSTREAM_PORT"

// tlsPortVar names the one that moves the port on which they are asked over TLS though
// they need not be (net.tls_opportunistic).
const tlsPortVar = "KRESD_UPSTREAM_TLS_PORT"

// noExploreVar names the environment variable that keeps a worker from asking
// servers only to learn about them, so that a laboratory knows what is asked.
const noExploreVar = "KRESD_NO_EXPLORE"

// labSettings are what a laboratory changes by the environment.
type labSettings struct {
	port      uint16 // on which other servers are asked; 0 for the usual one
	tlsPort   uint16 // the same for TLS
	noExplore bool
}

// laboratoryOf reads the environment and warns of what it changes.
func laboratoryOf(getenv func(string) string, log *logging.Logger) (l labSettings, err error) {
	l.noExplore = getenv(noExploreVar) != ""
	if l.noExplore {
		log.Warn(fmt.Sprintf("servers are not explored because of %s: for laboratories only", noExploreVar))
	}
	if l.port, err = labPort(getenv, upstreamPortVar, "", log); err == nil {
		l.tlsPort, err = labPort(getenv, tlsPortVar, " over TLS", log)
	}
	return l, err
}

// labPort reads a port; 0 where the environment has none.
func labPort(getenv func(string) string, name, how string, log *logging.Logger) (uint16, error) {
	text := getenv(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s: '%s' is no port", name, text)
	}
	log.Warn(fmt.Sprintf("other servers are asked%s on port %d by %s: for laboratories only", how, n, name))
	return uint16(n), nil
}
