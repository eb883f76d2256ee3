package stats

import "strings"

// help says what the counters count.
var help = map[string]string{
	"answer.total": "answers to clients and to the resolver's own questions", "answer.noerror": "answers with data",
	"answer.nodata": "answers without data for a name that is there", "answer.nxdomain": "answers that the name is not there",
	"answer.servfail": "failures", "answer.cached": "answers of which all was known",
	"answer.stale": "answers of which some was over", "query.edns": "questions with EDNS", "query.dnssec": "questions with DO",
	"answer.edns0": "answers with EDNS", "request.total": "questions", "request.internal": "questions of the resolver's own",
}

// means says what a counter counts.
func means(name string) string {
	if text := help[name]; text != "" {
		return text
	}
	if flag, ok := strings.CutPrefix(name, "answer."); ok {
		return "answers with the flag " + strings.ToUpper(flag)
	}
	way := strings.ToUpper(strings.TrimPrefix(name, "request."))
	for short, long := range map[string]string{"DOT": "TLS", "DOH": "HTTPS", "DOQ": "QUIC"} {
		way = strings.Replace(way, short, long, 1)
	}
	return "questions by " + way
}
