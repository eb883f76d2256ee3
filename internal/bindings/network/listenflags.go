package network

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"kresd/internal/script"
	"kresd/internal/transport"
	"kresd/internal/wording"
)

// listenFlags is the third argument of net.listen.
type listenFlags struct {
	service  string // what is offered there, as package transport calls it
	freebind bool
	mode     fs.FileMode // of UNIX sockets; 0: the usual one
}

// webManagement is the service of the module http, without which configurations go on
// where that is not there.
const webManagement = "webmgmt"

// withoutTLS is what a service is without TLS; "" where it is nothing. Services that
// are not in it have none.
var withoutTLS = map[string]string{plainDNS: plainDNS, dnsOverTLS: "", dnsOverHTTPS: dnsOverHTTP, dnsOverHTTP: dnsOverHTTP, dnsOverQUIC: ""}

// serviceOf is what a kind, a flag tls and a port come to. kind is "" and tls nil
// where nothing was said.
func serviceOf(kind string, tls *bool, port int) (string, error) {
	switch {
	case kind == "doh": // as inherited sockets may be called, too
		kind = dnsOverHTTPS
	case kind != "":
	case tls == nil && port == tlsPort:
		return dnsOverTLS, nil
	default:
		kind = plainDNS
	}
	switch clear := withoutTLS[kind]; {
	case tls == nil:
		return kind, nil
	case *tls && kind == plainDNS:
		return dnsOverTLS, nil
	case *tls && kind == dnsOverHTTP:
		return "", fmt.Errorf("net.listen: kind '%s' is without TLS; with it the kind is '%s'", kind, dnsOverHTTPS)
	case *tls:
		return kind, nil
	case clear == "":
		return "", fmt.Errorf("net.listen: there is no kind '%s' without TLS", wording.Printable(kind))
	default:
		return clear, nil
	}
}

// serves tells whether there is a service of this name and a way to serve it.
func serves(d *Host, service string) bool {
	return slices.ContainsFunc(transport.Offering(service), d.Listener.Serves)
}

// served are the names of what can be served, as people list them.
func served(d *Host) string {
	var names []string
	for k := range transport.Kinds {
		if name := "'" + k.Service() + "'"; serves(d, k.Service()) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// listenFlagsOf reads the third argument of net.listen, which may be absent.
func listenFlagsOf(d *Host, c *script.Call, port int) (f listenFlags, err error) {
	var kind string
	var tls *bool
	if !c.IsNil(3) {
		for _, p := range c.Table(3).Pairs {
			switch p.Key {
			case "kind":
				kind, err = flag[string](p.Key, p.Value)
			case "mode":
				f.mode, err = fileMode(p.Value)
			case "tls":
				var on bool
				on, err = flag[bool](p.Key, p.Value)
				tls = &on
			case "freebind":
				f.freebind, err = flag[bool](p.Key, p.Value)
			default:
				err = fmt.Errorf("net.listen: unknown flag '%v'; there are tls, kind, freebind and mode", p.Key)
			}
			if err != nil {
				return f, err
			}
		}
	}
	if f.service, err = serviceOf(kind, tls, port); err != nil {
		return f, err
	}
	if !serves(d, f.service) {
		return f, fmt.Errorf("net.listen: kind '%s' is not in this version; there are %s", wording.Printable(f.service), served(d))
	}
	return f, nil
}

// flag is the value of a flag, of the type that it has to have.
func flag[T string | bool](key, value any) (T, error) {
	v, ok := value.(T)
	if !ok {
		name := "string"
		if _, is := any(v).(bool); is {
			name = "boolean"
		}
		return v, fmt.Errorf("net.listen: flag '%s': %s expected, got %s", key, name, script.TypeName(value))
	}
	return v, nil
}

// fileMode reads permissions in octal digits, as chmod(1) does.
func fileMode(value any) (fs.FileMode, error) {
	text, ok := value.(string)
	n, err := strconv.ParseUint(text, 8, 32)
	if !ok || err != nil || n == 0 || n > uint64(fs.ModePerm) {
		return 0, errors.New("net.listen: flag 'mode': permissions as a string of octal digits expected, as '660'")
	}
	return fs.FileMode(n), nil
}
