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

// noExploreVar names the environment variable that keeps a worker from asking
// servers only to learn about them, so that a laboratory knows what is asked.
const noExploreVar = "KRESD_NO_EXPLORE"

// labSettings are what a laboratory changes by the environment.
type labSettings struct {
	port      uint16 // on which other servers are asked; 0 for the usual one
	noExplore bool
}

// laboratoryOf reads the environment and warns of what it changes.
func laboratoryOf(getenv func(string) string, log *logging.Logger) (l labSettings, err error) {
	l.noExplore = getenv(noExploreVar) != ""
	if l.noExplore {
		log.Warn(fmt.Sprintf("servers are not explored because of %s: for laboratories only", noExploreVar))
	}
	text := getenv(upstreamPortVar)
	if text == "" {
		return l, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return l, fmt.Errorf("%s: '%s' is no port", upstreamPortVar, text)
	}
	l.port = uint16(n)
	log.Warn(fmt.Sprintf("other servers are asked on port %d by %s: for laboratories only", n, upstreamPortVar))
	return l, nil
}
