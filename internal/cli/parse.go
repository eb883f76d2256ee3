package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"kresd/internal/limits"
	"kresd/internal/logging"
)

// raw holds option values as they were written.
type raw struct {
	addr, tls, fd, tlsfd, config []string
	keyfile, keyfileRO           []string
	moduledir, forks, logFormat  string
	script                       string
	noninteractive               bool
	quiet, verbose               bool
	check, version, help         bool
}

func (r *raw) flags() *pflag.FlagSet {
	f := newFlags("kresd")
	f.StringArrayVarP(&r.addr, "addr", "a", nil, "")
	f.StringArrayVarP(&r.tls, "tls", "t", nil, "")
	f.StringArrayVarP(&r.fd, "fd", "S", nil, "")
	f.StringArrayVarP(&r.tlsfd, "tlsfd", "T", nil, "")
	f.StringArrayVarP(&r.config, "config", "c", nil, "")
	f.StringArrayVarP(&r.keyfile, "keyfile", "k", nil, "")
	f.StringArrayVarP(&r.keyfileRO, "keyfile-ro", "K", nil, "")
	f.StringVarP(&r.moduledir, "moduledir", "m", "", "")
	f.StringVarP(&r.forks, "forks", "f", "", "")
	f.BoolVarP(&r.noninteractive, "noninteractive", "n", false, "")
	f.BoolVarP(&r.quiet, "quiet", "q", false, "")
	f.BoolVarP(&r.verbose, "verbose", "v", false, "")
	f.BoolVar(&r.check, "check-config", false, "")
	f.BoolVarP(&r.version, "version", "V", false, "")
	f.BoolVarP(&r.help, "help", "h", false, "")
	f.StringVar(&r.script, "script", "", "")
	f.StringVar(&r.logFormat, "log-format", "text", "")
	return f
}

// newFlags makes a set of options that prints nothing itself.
func newFlags(program string) *pflag.FlagSet {
	f := pflag.NewFlagSet(program, pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parseFlags reads arguments in the habits of getopt_long.
func parseFlags(flags *pflag.FlagSet, args []string) error {
	prefixes := &prefixes{}
	flags.VisitAll(func(f *pflag.Flag) { prefixes.names = append(prefixes.names, f.Name) })
	flags.SetNormalizeFunc(prefixes.normalize)
	if err := flags.Parse(args); err != nil {
		return prefixes.explain(err)
	}
	return nil
}

// Parse reads the arguments after the program's name.
func Parse(args []string) (Options, error) {
	var r raw
	flags := r.flags()
	args, ofScript := atScript(args)
	if err := parseFlags(flags, args); err != nil {
		return Options{}, err
	}
	if flags.Changed("script") && !r.help {
		return r.forScript(flags, ofScript)
	}
	if r.help || r.version {
		return Options{Help: r.help, Version: r.version}, nil
	}
	return r.options(flags.Args(), flags.Changed("forks"))
}

// atScript splits the arguments behind --script FILE: what follows is the script's.
func atScript(args []string) (ours, scripts []string) {
	for i, a := range args {
		end := i + 1
		switch {
		case a == "--":
			return args, nil
		case a == "--script":
			end++
		case !strings.HasPrefix(a, "--script="):
			continue
		}
		if end < len(args) {
			return args[:end], args[end:]
		}
	}
	return args, nil
}

// forScript is a command line with --script.
func (r *raw) forScript(flags *pflag.FlagSet, args []string) (o Options, err error) {
	if r.script == "" {
		return o, errors.New("--script: the file name is empty")
	}
	flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "script", "verbose", "quiet", "moduledir", "log-format":
		default:
			err = usagef("--script and --%s exclude each other", f.Name)
		}
	})
	if flags.NArg() > 0 {
		err = usagef("--script takes no run directory, and '%s' stands before it", flags.Arg(0))
	}
	o = Options{Script: r.script, ScriptArgs: args, ModuleDir: r.moduledir, RunDir: ".", Forks: 1, Verbose: r.verbose, NoDefaults: true}
	return o, errors.Join(err, r.parseLog(&o))
}

// prefixes completes long options that are written as a unique prefix.
type prefixes struct {
	names     []string
	ambiguous []string // what the last unresolved prefix could have meant
}

func (p *prefixes) normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	var match []string
	for _, n := range p.names {
		if n == name {
			return pflag.NormalizedName(name)
		}
		if name != "" && strings.HasPrefix(n, name) {
			match = append(match, n)
		}
	}
	if len(match) == 1 {
		return pflag.NormalizedName(match[0])
	}
	p.ambiguous = match
	return pflag.NormalizedName(name)
}

// explain puts pflag's errors into getopt's words.
func (p *prefixes) explain(err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usagef("unknown option '-%s'", unknown.GetSpecifiedName())
	case errors.As(err, &unknown) && len(p.ambiguous) > 1:
		return usagef("option '--%s' is ambiguous: --%s", unknown.GetSpecifiedName(), strings.Join(p.ambiguous, ", --"))
	case errors.As(err, &unknown):
		return usagef("unknown option '--%s'", unknown.GetSpecifiedName())
	case errors.As(err, &missing) && missing.GetSpecifiedShortnames() != "":
		return usagef("option '-%s' requires an argument", missing.GetSpecifiedName())
	case errors.As(err, &missing):
		return usagef("option '--%s' requires an argument", missing.GetSpecifiedName())
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) { // all other options take any text
		return usagef("option '--%s' takes no argument", invalid.GetFlag().Name)
	}
	var syntax *pflag.InvalidSyntaxError
	if errors.As(err, &syntax) {
		return usagef("unknown option '%s'", syntax.GetSpecifiedFlag())
	}
	return usagef("%s", strings.SplitN(err.Error(), "\n", 2)[0])
}

func (r *raw) options(positional []string, forksGiven bool) (Options, error) {
	if err := r.refuse(); err != nil {
		return Options{}, err
	}
	o := Options{ModuleDir: r.moduledir, RunDir: ".", Forks: 1, Quiet: r.quiet, Verbose: r.verbose, Check: r.check}
	if len(positional) > 1 {
		return Options{}, usagef("one run directory is taken, '%s', and '%s' is one argument too many", positional[0], positional[1])
	}
	if len(positional) > 0 && positional[0] != "" {
		o.RunDir = positional[0]
	}
	forks := func(o *Options) error { return r.parseForks(o, forksGiven) }
	for _, step := range []func(*Options) error{r.parseAddrs, r.parseFDs, forks, r.parseConfigs, r.parseKeyFile, r.parseLog} {
		if err := step(&o); err != nil {
			return Options{}, err
		}
	}
	o.Interactive = !forksGiven && !r.noninteractive && len(o.FDs) == 0 && !r.check
	return o, nil
}

// refuse says what cannot be wanted together.
func (r *raw) refuse() error {
	if len(r.keyfile)+len(r.keyfileRO) > 1 {
		return errors.New("-k/--keyfile and -K/--keyfile-ro exclude each other, and only one may be given, once")
	}
	return nil
}

func (r *raw) parseAddrs(o *Options) error {
	for _, option := range []struct {
		name, kind string
		texts      []string
		port       uint16
	}{
		{"-a/--addr", "dns", r.addr, DNSPort},
		{"-t/--tls", "tls", r.tls, TLSPort},
	} {
		for _, text := range option.texts {
			addrs, err := ParseAddr(text, option.port)
			if err != nil {
				return fmt.Errorf("%s: %w", option.name, err)
			}
			for _, a := range addrs {
				a.Kind = option.kind
				o.Addrs = append(o.Addrs, a)
			}
		}
	}
	return nil
}

func (r *raw) parseFDs(o *Options) error {
	for _, text := range r.fd {
		fd, err := parseFD(text)
		if err != nil {
			return fmt.Errorf("-S/--fd: %w", err)
		}
		o.FDs = append(o.FDs, fd)
	}
	for _, text := range r.tlsfd {
		fd, err := parseTLSFD(text)
		if err != nil {
			return fmt.Errorf("-T/--tlsfd: %w", err)
		}
		o.FDs = append(o.FDs, fd)
	}
	return nil
}

func (r *raw) parseForks(o *Options, given bool) error {
	if !given {
		return nil
	}
	n, err := strconv.Atoi(r.forks)
	if err != nil || n < 1 || n > limits.MaxForks {
		return fmt.Errorf("-f/--forks: a positive number (at most %d) is required, not '%s'", limits.MaxForks, r.forks)
	}
	o.Forks = n
	return nil
}

func (r *raw) parseConfigs(o *Options) error {
	for _, path := range r.config {
		switch path {
		case "-":
			o.NoDefaults = true
		case "":
			return errors.New("-c/--config: the file name is empty")
		default:
			o.Configs = append(o.Configs, path)
		}
	}
	return nil
}

// parseKeyFile takes the one file that may be given.
func (r *raw) parseKeyFile(o *Options) error {
	o.KeyFileReadOnly = len(r.keyfileRO) > 0
	for _, path := range append(r.keyfile, r.keyfileRO...) {
		if path == "" {
			return errors.New("-k/--keyfile and -K/--keyfile-ro: the file name is empty")
		}
		o.KeyFile = path
	}
	return nil
}

func (r *raw) parseLog(o *Options) error {
	format, ok := logging.ParseFormat(r.logFormat)
	if !ok || r.logFormat == "" {
		return fmt.Errorf("--log-format: 'text', 'json' or 'logfmt' is required, not '%s'", r.logFormat)
	}
	o.LogFormat = format
	return nil
}
