// Package cachegc is kres-cache-gc: it makes room in a cache of kresd from outside, to
// marks of the operator's.
//
// The daemon makes room by itself (package lmdbcache, Collect); this is for a cache that
// nobody has open, for other marks, and for scripts and units that expect the command.
// Entries are valued as the daemon values them. No file is created here: a directory
// without a cache, a cache of another version and files of another user are refused, so
// that no mistake empties a cache or leaves files that the daemon cannot open.
package cachegc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"kresd/internal/cache"
	"kresd/internal/cli"
	"kresd/internal/clock"
	"kresd/internal/lmdbcache"
	"kresd/internal/wording"
)

const program = "kres-cache-gc"

// Run is the program, until ctx ends. It returns the exit status.
func Run(ctx context.Context, args []string, out, errs io.Writer) int {
	o, err := cli.ParseGC(args)
	switch {
	case err != nil:
		return fail(errs, err)
	case o.Help:
		fmt.Fprint(out, cli.GCUsage())
		return 0
	case o.Version:
		fmt.Fprint(out, cli.GCVersionLine())
		return 0
	}
	for {
		line, err := look(ctx, o, clock.Real().Unix())
		switch {
		case errors.Is(err, context.Canceled):
			return 0
		case err != nil && o.Interval == 0:
			return fail(errs, err)
		case err != nil: // the daemon may be about to make the cache
			cli.Complain(errs, program, err)
		case line != "":
			fmt.Fprintln(out, line)
		}
		if o.Interval == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(o.Interval):
		}
	}
}

func fail(errs io.Writer, err error) int {
	cli.Complain(errs, program, err)
	return cli.Status(err)
}

// look makes room once, and says what it did; "" for nothing worth a line.
func look(ctx context.Context, o cli.GCOptions, now int64) (string, error) {
	if err := usable(o.Cache); err != nil {
		return "", fmt.Errorf("cache in '%s': %w", o.Cache, err)
	}
	// The least size: a map is never made smaller by it, nor larger.
	store, err := lmdbcache.Open(o.Cache, lmdbcache.Options{MaxSize: 1, Schema: cache.Schema, Keep: true})
	if err != nil {
		return "", fmt.Errorf("cache in '%s': %w", o.Cache, wording.Reason(err))
	}
	defer store.Close()
	judge := func(key, val []byte) lmdbcache.Worth { return cache.Worth(key, val, now) }
	usage := store.Usage()
	low := max(usage-o.Free, 0)
	if o.DryRun {
		c, err := store.Foresee(ctx, o.Usage, low, judge)
		return fmt.Sprintf("usage %.1f %%: %d entries would be removed", usage, c.Removed), err
	}
	c, err := store.CollectBetween(ctx, o.Usage, low, judge)
	if err != nil || c.Removed == 0 && !o.Verbose {
		return "", err
	}
	return fmt.Sprintf("usage %.1f %%: %d entries were removed, usage is %.1f %% now", c.Before, c.Removed, c.After), nil
}

// usable says why a directory has no cache that this user may change.
func usable(dir string) error {
	info, err := os.Lstat(filepath.Join(dir, lmdbcache.Files()[0]))
	if err != nil {
		return wording.Reason(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, and this process is user %d: run it as that user", info.Name(), st.Uid, os.Geteuid())
	}
	return nil
}
