package network

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/wording"
)

// dohPaths is net.doh_paths: it tells at which paths questions come by HTTP, or
// sets them.
func dohPaths(d *Host, c *script.Call) error {
	if c.NArgs() > 0 {
		paths, err := namesOf("net.doh_paths", c.Arg(1), pathProblem)
		if err == nil && len(paths) == 0 {
			err = errors.New("net.doh_paths: the list is empty; without a path nobody could ask")
		}
		if err != nil {
			return err
		}
		d.Settings.DoHPaths.Store(&paths)
		d.Changed()
	}
	return c.Return(luavalue.Texts(*d.Settings.DoHPaths.Load()))
}

// dohHeaders is net.doh_headers: it tells which headers of a request by HTTP
// scripts see, or sets them.
func dohHeaders(d *Host, c *script.Call) error {
	if c.NArgs() > 0 {
		names, err := namesOf("net.doh_headers", c.Arg(1), headerProblem)
		if err != nil {
			return err
		}
		for i := range names {
			names[i] = strings.ToLower(names[i])
		}
		d.Settings.DoHHeaders.Store(&names)
		d.Changed()
	}
	return c.Return(luavalue.Texts(*d.Settings.DoHHeaders.Load()))
}

// namesOf reads a text or a list of them, which problem says what is wrong with.
func namesOf(function string, value any, problem func(string) string) ([]string, error) {
	var list []string
	switch v := value.(type) {
	case string:
		list = []string{v}
	case *luavalue.Table:
		for i, p := range v.Pairs {
			text, ok := p.Value.(string)
			if !ok || p.Key != float64(i+1) {
				return nil, fmt.Errorf("%s: a list of texts expected", function)
			}
			list = append(list, text)
		}
	default:
		return nil, fmt.Errorf("%s: a text or a list of texts expected, got %s", function, script.TypeName(value))
	}
	if len(list) > limits.HTTPNames {
		return nil, fmt.Errorf("%s: %d are named, at most %d can be", function, len(list), limits.HTTPNames)
	}
	for _, text := range list {
		if why := problem(text); why != "" {
			return nil, fmt.Errorf("%s: '%s' %s", function, wording.Printable(text), why)
		}
	}
	return list, nil
}

// pathProblem says why a text is no path of a URL; "" if it is one.
func pathProblem(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "is no path: it has to begin with /"
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("?#%{}", r) }):
		return "is no path: it has letters, digits and / without a query behind"
	}
	return ""
}

// headerProblem says why a text is no name of a header; "" if it is one.
func headerProblem(name string) string {
	plain, pseudo := strings.CutPrefix(name, ":")
	if pseudo && !slices.Contains([]string{"method", "path", "authority", "scheme"}, strings.ToLower(plain)) {
		return "is no header; those of HTTP/2 are :method, :path, :authority and :scheme"
	}
	if plain == "" || strings.ContainsFunc(plain, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`:"(),/<=>?@[\]{};`, r) }) {
		return "is no name of a header"
	}
	return ""
}
