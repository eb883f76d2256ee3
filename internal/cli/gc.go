package cli

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"kresd/internal/version"
)

// GCOptions is what the command line of kres-cache-gc says.
type GCOptions struct {
	Cache    string        // -c: the directory of the cache
	Interval time.Duration // -d: between two collections; 0: one, then the end
	Usage    float64       // -u: percent of the map above which room is made
	Free     float64       // -f: so many percent of the map
	DryRun   bool          // -n
	Verbose  bool          // -v

	Help, Version bool
}

const gcUsage = `Usage: kres-cache-gc -c CACHEDIR [parameters]

Makes room in a cache of kresd, beside it or while nobody uses it: what is worth least goes first.
kresd does so by itself; this is for other marks, and for caches that nobody has open.

Parameters:
 -c CACHEDIR  Directory of data.mdb.
 -d MS        Look again each so many milliseconds, until a signal (default: once, then end).
 -u PERCENT   Make room when the cache is filled by more (default: 80).
 -f PERCENT   Make so much room, in percent of the whole (default: 10).
 -n           Tell what would be removed, and remove nothing.
 -v           Tell of each look, not only when something was removed.
 -V           Print version and end.
 -h           Print this text and end.
Taken for older scripts, without effect, since transactions are small and leave turns to others:
 -l, -L, -m, -w, -t NUMBER

Exit status: 0 done, or ended by a signal; 1 the cache cannot be used; 2 the command line is wrong.
`

// GCUsage is the text of kres-cache-gc's help.
func GCUsage() string { return gcUsage }

// GCVersionLine is the text of its version.
func GCVersionLine() string { return "kres-cache-gc, version " + version.String() + "\n" }

// ParseGC reads the arguments of kres-cache-gc. Its errors are UsageErrors.
func ParseGC(args []string) (GCOptions, error) {
	var o GCOptions
	var interval, usage, free string
	var ignored [5]string
	flags := pflag.NewFlagSet("kres-cache-gc", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.StringVarP(&o.Cache, "cache", "c", "", "")
	flags.StringVarP(&interval, "interval", "d", "0", "")
	flags.StringVarP(&usage, "usage", "u", "80", "")
	flags.StringVarP(&free, "free", "f", "10", "")
	flags.BoolVarP(&o.DryRun, "dry-run", "n", false, "")
	flags.BoolVarP(&o.Verbose, "verbose", "v", false, "")
	flags.BoolVarP(&o.Version, "version", "V", false, "")
	flags.BoolVarP(&o.Help, "help", "h", false, "")
	for i, letter := range []string{"l", "L", "m", "w", "t"} {
		flags.StringVarP(&ignored[i], "ignored-"+letter, letter, "0", "")
	}
	if err := parseFlags(flags, args); err != nil {
		return GCOptions{}, err
	}
	if o.Help || o.Version {
		return o, nil
	}
	if flags.NArg() > 0 {
		return GCOptions{}, usagef("'%s' is one argument too many", flags.Arg(0))
	}
	if o.Cache == "" {
		return GCOptions{}, usagef("the directory of a cache is required, by -c")
	}
	ms, err := whole("d", interval)
	for i, letter := range []string{"l", "L", "m", "w", "t"} {
		_, bad := whole(letter, ignored[i])
		err = errors.Join(err, bad)
	}
	o.Interval = time.Duration(ms) * time.Millisecond
	o.Usage, err = percent("u", usage, err)
	o.Free, err = percent("f", free, err)
	return o, err
}

// whole is the number of an option.
func whole(letter, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, usagef("option '-%s' takes a whole number, not '%s'", letter, text)
	}
	return n, nil
}

// percent is the number of an option, unless something was wrong before.
func percent(letter, text string, before error) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if before != nil {
		return 0, before
	}
	if err != nil || !(n > 0 && n <= 100) {
		return 0, usagef("option '-%s' takes a percentage above 0 and up to 100, not '%s'", letter, text)
	}
	return n, nil
}
