package worker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/trustanchor/bootstrap"
	"kresd/internal/wire"
)

// anchors are the trust anchors of the worker, and what its log says of them.
type anchors struct {
	*trustanchor.Store
	log   *logging.Logger
	clock *clock.Clock
	// resolve resolves a request of the worker's own.
	resolve func(context.Context, *resolve.Request)
}

// AddFile implements anchors.Anchors.
func (a *anchors) AddFile(ctx context.Context, path string, readonly bool) error {
	l, err := a.Store.AddFile(path, readonly)
	if errors.Is(err, trustanchor.ErrNoFile) {
		return a.bootstrap(ctx, path)
	}
	if err != nil || l.Known {
		return err
	}
	if l.Damage != nil {
		a.log.Error(fmt.Sprintf("%v; this file is not believed, and the keys of the root that are known otherwise are trusted until it is written anew", l.Damage))
	}
	if l.Replaced {
		a.log.Warn(fmt.Sprintf("the trust anchors of %s were set already; they are replaced by those of %s", l.Set.Owner, l.Set.File))
	}
	a.tell(l.Set)
	return nil
}

// tell says which keys of a zone are trusted.
func (a *anchors) tell(set *trustanchor.KeySet) {
	a.log.Block("new state of trust anchors for a domain:", set.Columns()...)
	for _, k := range set.Keys {
		a.log.Notice(fmt.Sprintf("key: %d state: %s", k.Tag, k.State))
	}
	if set.Trusted() == 0 {
		a.log.Warn(fmt.Sprintf("no key in %s is trusted: nothing is validated for %s by it", set.File, set.Owner))
	}
}

// announce says from what answers are validated.
func (a *anchors) announce(log *logging.Logger) {
	s := a.Snapshot()
	var zones []string
	for _, owner := range s.Owners() {
		if set := s.Sets[owner]; set.Trusted() > 0 {
			zones = append(zones, set.Brief())
		}
	}
	if len(zones) == 0 {
		log.Warn("answers are not validated by DNSSEC: there are no trust anchors")
		return
	}
	log.Notice("answers are validated from the keys of " + strings.Join(zones, ", "))
}

// bootstrap fetches the first anchors of the root for a key file. Of several workers
// that start with one file, one fetches.
func (a *anchors) bootstrap(ctx context.Context, path string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*limits.BootstrapTime)
	defer cancel()
	lock, err := trustanchor.TryLock(path)
	for errors.Is(err, trustanchor.ErrLocked) {
		if loaded, err := a.Store.AddFile(path, false); err == nil {
			a.tell(loaded.Set)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w, and does not", path, trustanchor.ErrLocked)
		case <-time.After(100 * time.Millisecond):
		}
		lock, err = trustanchor.TryLock(path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if loaded, err := a.Store.AddFile(path, false); err == nil { // written between two looks
		a.tell(loaded.Set)
		return nil
	}
	a.log.Notice(fmt.Sprintf("keyfile '%s': doesn't exist, bootstrapping", path))
	set, err := bootstrap.Fetch(ctx, bootstrap.Options{
		Source: a.Source(), Now: a.clock.Now(), Lookup: a.lookup, Note: func(line string) { a.log.Warn(line) },
	})
	if err != nil {
		return fmt.Errorf("%s: the file does not exist, and the root's trust anchors could not be fetched: %w; "+
			"write the DS or DNSKEY records of the root to the file by hand (https://www.iana.org/dnssec/files)", path, err)
	}
	if err := lock.Write(set); err != nil {
		return err
	}
	a.AddFetched(path, set)
	a.log.Block("Root trust anchors bootstrapped over https with pinned certificate.",
		"       You SHOULD verify them manually against original source:", "       https://www.iana.org/dnssec/files")
	a.log.Block("Current root trust anchors are:", set.Records()...)
	return nil
}

// lookup finds the addresses of a host through the worker's own resolver. They are
// not validated, as there is nothing to do it with: what is fetched there proves
// itself.
func (a *anchors) lookup(ctx context.Context, host string) (addrs []netip.Addr, err error) {
	name, err := dnsname.Parse(host)
	if err != nil {
		return nil, err
	}
	for _, t := range []uint16{wire.TypeA, wire.TypeAAAA} {
		req := &resolve.Request{Question: resolve.Question{Name: name, Type: t, Class: wire.ClassIN}, RD: true, CD: true}
		a.resolve(ctx, req)
		for _, set := range req.Result.Answer {
			for _, rdata := range set.Data {
				if addr, ok := netip.AddrFromSlice(rdata); ok && set.Type == t {
					addrs = append(addrs, addr)
				}
			}
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("this resolver finds no address of %s either", host)
	}
	return addrs, nil
}

// useDefault does what the configuration did not: without anchors of the root, and
// without the wish to have none, those of the default file or the built-in ones are
// trusted.
func (a *anchors) useDefault(ctx context.Context) error {
	file, builtin := a.Default()
	switch {
	case builtin:
		a.UseBuiltin()
	case file != "":
		return a.AddFile(ctx, file, true)
	}
	return nil
}
