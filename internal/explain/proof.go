package explain

import (
	"fmt"
	"strings"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// proved says a step of a proof.
func proved(step resolve.Step) string {
	switch s := step.(type) {
	case resolve.KeysBelieved:
		by := "the DS set of its parent"
		if s.Anchor {
			by = "the trust anchor"
		}
		return fmt.Sprintf("%d keys of %s are believed, for %s names key %s", s.Keys, s.Zone, by, tags(s.By))
	case resolve.SetProved:
		return fmt.Sprintf("%s %s is signed by key %d of %s, algorithm %d", s.Owner, wire.TypeText(s.Type), s.Tag, s.Zone, s.Algorithm)
	case resolve.DenialProved:
		return fmt.Sprintf("%s proves that there is no %s", s.Zone, s.Question)
	case resolve.Unsigned:
		return fmt.Sprintf("%s needs no proof: %s", s.Name, insecurity(s.Why))
	case resolve.Refused:
		return fmt.Sprintf("the answer of %s is not believed: %s", address(s.From), s.Why.Text)
	}
	return ""
}

func insecurity(why resolve.Insecurity) string {
	switch why {
	case resolve.NoDS:
		return "its parent proves that it has no DS set"
	case resolve.OptedOut:
		return "its parent has opted out of proofs that it has no DS set"
	case resolve.UnknownAlgorithm:
		return "it is signed with algorithms that are not known here"
	case resolve.UnknownDigest:
		return "its DS set has digests that are not known here"
	case resolve.CostlyDenial:
		return "its zone asks for too many rounds of hashing"
	}
	return "no trust anchor is for it"
}

func tags(list []uint16) string {
	words := make([]string, len(list))
	for i, tag := range list {
		words[i] = fmt.Sprint(tag)
	}
	return strings.Join(words, ", ")
}
