package worker

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"kresd/internal/cli"
	"kresd/internal/limits"
	"kresd/internal/rundir"
	"kresd/internal/script"
)

// configureUnlessEnded runs the configuration, which the wish to end interrupts.
func (w *Worker) configureUnlessEnded(signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	done, heeded := make(chan struct{}), make(chan struct{})
	w.group.Go("start", func() {
		defer close(heeded)
		if w.asked(signals, done) {
			w.wantEnd()
			cancel()
		}
	})
	err := w.configure(ctx)
	close(done)
	<-heeded
	select {
	case <-w.quit:
		return errEnded
	default:
		return err
	}
}

// configure runs the configuration files. That the usual one is not there is
// fine; that it cannot be read is not.
func (w *Worker) configure(ctx context.Context) error {
	w.seekModuleDir()
	for _, f := range w.reloads.configFiles() {
		w.reloads.begins(f)
		if _, kept := w.reloads.instead(f); f == defaultConfig && !kept {
			if err := rundir.Readable(f); err != nil {
				return err
			}
		}
		if err := w.vm.RunFile(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// seekModuleDir warns of a directory of modules that was named and is not there.
func (w *Worker) seekModuleDir() {
	if dir := w.o.CLI.ModuleDir; dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			w.log.Warn(fmt.Sprintf("module directory '%s' is not there", dir))
		}
	}
}

// configFiles are those that the command line names, or the usual one if it is there.
func configFiles(o *cli.Options) []string {
	if _, err := os.Lstat(defaultConfig); len(o.Configs) == 0 && !o.NoDefaults && err == nil {
		return []string{defaultConfig}
	}
	return o.Configs
}

// defaultConfig is run when no other file was named.
const defaultConfig = "config"

// loadKeyFile does what -k and -K say, as if it stood last in the configuration.
func (w *Worker) loadKeyFile() error {
	if file := w.o.CLI.KeyFile; file != "" {
		if err := w.rules.anchors.AddFile(w.ctx, file, w.o.CLI.KeyFileReadOnly); err != nil {
			return fmt.Errorf("trust anchors: %w", err)
		}
	}
	return nil
}

// noListenVar keeps a worker from listening where nobody told it to.
const noListenVar = "KRESD_NO_LISTEN"

// applyDefaults does what the configuration did not.
func (w *Worker) applyDefaults() error {
	if err := w.listener.failed; err != nil && len(w.server.Endpoints()) == 0 {
		return fmt.Errorf("nothing is listened on: %w%s", err, w.o.advice(w.listener.refused)) // another address instead is not what was meant
	}
	if w.o.CLI.NoDefaults {
		return nil
	}
	if err := w.rules.anchors.useDefault(w.ctx); err != nil {
		return fmt.Errorf("trust anchors: %w", err)
	}
	if len(w.server.Endpoints()) == 0 && !w.noListen() {
		if err := w.listenLocally(); err != nil {
			return err
		}
	}
	if !w.storage.wasTouched() {
		return w.storage.Open(limits.DefaultCacheSize, "lmdb://", ".")
	}
	return nil
}

// noListen tells whether noListenVar is set, in the environment or by the
// configuration (env.KRESD_NO_LISTEN).
func (w *Worker) noListen() bool {
	set := w.o.Getenv(noListenVar) != ""
	_ = w.vm.Do(w.ctx, func(c *script.Call) error {
		set = set || c.Env(noListenVar) != ""
		return nil
	})
	return set
}

// listenLocally listens on the loopback addresses; IPv6 may be absent.
func (w *Worker) listenLocally() error {
	err4 := w.server.Listen(netip.MustParseAddrPort("127.0.0.1:53"), plainDNS())
	err6 := w.server.Listen(netip.MustParseAddrPort("[::1]:53"), plainDNS())
	if err4 != nil && err6 != nil {
		return fmt.Errorf("not listening: %w", w.o.helped(err4))
	}
	if err6 != nil && w.log.DebugOn() {
		w.log.Debug(err6.Error())
	}
	return nil
}
