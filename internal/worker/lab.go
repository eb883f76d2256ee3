package worker

import (
	"fmt"
	"strconv"
)

// upstreamPortVar names the environment variable that moves the port on which
// other servers are asked: a laboratory's authorities may not be able to bind
// port 53.
const upstreamPortVar = "KRESD_UPSTREAM_PORT"

// upstreamPort is the port that the environment asks for, 0 for the usual one.
func upstreamPort(getenv func(string) string) (uint16, error) {
	text := getenv(upstreamPortVar)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s: '%s' is no port", upstreamPortVar, text)
	}
	return uint16(n), nil
}
