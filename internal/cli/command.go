package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// Command is the command line of a program that has args, but listens on addrs instead
// of what these say. A shell takes it as it is.
func Command(program string, args []string, addrs []Addr) string {
	words := []string{program}
	for _, a := range addrs {
		option := "-a"
		if a.Kind == "tls" {
			option = "-t"
		}
		words = append(words, option, quoted(fmt.Sprintf("%s@%d", a.Addr(), a.Port())))
	}
	var r raw
	flags := r.flags()
	_ = flags.ParseAll(args, func(f *pflag.Flag, value string) error { // they were read before
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand
		}
		switch {
		case f.Name == "addr" || f.Name == "tls":
		case f.Value.Type() == "bool":
			words = append(words, name)
		default:
			words = append(words, name, quoted(value))
		}
		return nil
	})
	for _, arg := range flags.Args() {
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// plainWord needs no quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
