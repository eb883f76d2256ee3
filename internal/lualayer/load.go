package lualayer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kresd/internal/dnslua/requests"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/module"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/wording"
)

// A Loader loads modules that are written in Lua. Its methods are for the owner
// goroutine of the machine.
type Loader struct {
	VM    *script.VM
	Views *requests.Views
	// Tasks runs the coroutines that init functions return.
	Tasks *safe.Group
	Warn  func(line string)
}

// Namespace is where other versions keep modules: require('kres_modules.NAME').
const Namespace = "kres_modules."

// A Source is a module that was found.
type Source struct {
	name string
	// required is what require is told; File is "" for what a script has preloaded.
	required, File string
}

// Find looks for a module as require does. The places where it looked are for the error
// that it is nowhere.
func (l *Loader) Find(name string) (src Source, tried []string, ok bool) {
	for _, required := range []string{name, Namespace + name} {
		if l.VM.Preloaded(required) {
			return Source{name: name, required: required}, nil, true
		}
		file, files := l.VM.ModuleFile(required)
		if file != "" {
			return Source{name, required, file}, nil, true
		}
		if tried == nil {
			tried = files
		}
	}
	return Source{}, tried, false
}

// Module is the module of a source. Opening it runs the file, unless require has done so
// before: the table that it returned then is the module's again.
func (l *Loader) Module(src Source) module.Module {
	return module.Module{Name: src.name, Open: func(*module.Host) (*module.Instance, error) {
		return l.open(src)
	}}
}

func (l *Loader) open(src Source) (*module.Instance, error) {
	table, err := l.VM.Require(src.required)
	if err != nil {
		return nil, told(err)
	}
	if table.Type() != "table" {
		return nil, fmt.Errorf("%s returns %s, and no table of the module's functions", src.where(), wording.WithArticle(table.Type()))
	}
	m := &mod{loader: l, name: src.name, table: table}
	l.VM.SetGlobal(src.name, table)
	if err := m.open(); err != nil {
		l.VM.SetGlobal(src.name, nil)
		return nil, err
	}
	return m.instance(), nil
}

// where is the source for messages.
func (s *Source) where() string {
	if s.File == "" {
		return "package.preload['" + s.required + "']"
	}
	return s.File
}

// mod is a module that is loaded.
type mod struct {
	loader *Loader
	name   string
	table  *script.Ref
	hooks  hooks
	closed chan struct{}
	seldom logging.Seldom // errors of hooks
}

// function is a function of the module's table, nil where there is none.
func (m *mod) function(name string) (*script.Ref, error) {
	fn := m.table.Member(name)
	if fn != nil && fn.Type() != "function" {
		return nil, fmt.Errorf("its '%s' is %s, and no function", name, wording.WithArticle(fn.Type()))
	}
	return fn, nil
}

// open checks the table, calls init and reads the layer, which init may have made.
func (m *mod) open() error {
	m.closed = make(chan struct{})
	for _, name := range []string{"deinit", "config"} {
		if _, err := m.function(name); err != nil {
			return err
		}
	}
	init, err := m.function("init")
	if err != nil {
		return err
	}
	var results []any
	if init != nil {
		if results, err = init.Call(m.table); err != nil {
			return fmt.Errorf("init: %w", told(err))
		}
	}
	var unknown []string
	if m.hooks, unknown, err = readHooks(m.table.Member("layer")); err != nil {
		return err
	}
	for _, name := range unknown {
		m.loader.Warn(fmt.Sprintf("module '%s': its layer has '%s', which is no hook and is never called%s", m.name, name, meant(name)))
	}
	if len(results) == 0 {
		return nil
	}
	switch v := results[0].(type) {
	case float64:
		if v != 0 {
			return fmt.Errorf("init returned the error %v", v)
		}
	case *script.Ref:
		if v.Type() == "thread" {
			m.goOn(v)
		}
	}
	return nil
}

// idlePause is the pause between two turns of a coroutine that init has returned.
const idlePause = time.Millisecond

// goOn continues a coroutine, in turn with all else that the machine does, until it
// ends or the module is unloaded.
func (m *mod) goOn(co *script.Ref) {
	m.loader.Tasks.Go("module "+m.name, func() {
		turn := time.NewTicker(idlePause)
		defer turn.Stop()
		for more := true; more; {
			select {
			case <-turn.C:
			case <-m.closed:
				return
			}
			err := m.turn(func() (err error) {
				more, err = co.Resume()
				return err
			})
			more = more && !m.isClosed()
			if err != nil {
				if !errors.Is(err, script.ErrClosed) {
					m.loader.Warn(fmt.Sprintf("module '%s': the coroutine of init: error: %s", m.name, script.Report(err)))
				}
				return
			}
		}
	})
}

// turn runs fn on the machine for as long as a command may run.
func (m *mod) turn(fn func() error) error {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	return m.loader.VM.Do(ctx, func(*script.Call) error {
		if m.isClosed() {
			return nil
		}
		defer time.AfterFunc(limits.ConsoleRunTime, func() { end(errTurn) }).Stop()
		return fn()
	})
}

var errTurn = fmt.Errorf("ended: it took longer than %v without a yield", limits.ConsoleRunTime)

func (m *mod) isClosed() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}

// instance is the module as the chain keeps it.
func (m *mod) instance() *module.Instance {
	inst := &module.Instance{Layer: m.layer(), Sees: m.hooks.sight(), Close: m.close}
	if m.table.Member("config") != nil {
		inst.Config = m.config
	}
	return inst
}

// config hands options over, as the script wrote them.
func (m *mod) config(value any) error {
	fn, err := m.function("config")
	if err != nil || fn == nil {
		return err
	}
	_, err = fn.Call(value)
	return told(err)
}

// told is an error of the module's code as one of ours: it is about the call that loads
// or configures the module.
func told(err error) error {
	if e, ok := errors.AsType[*script.Error](err); ok {
		return errors.New(e.Message)
	}
	return err
}

// close calls deinit. It runs on the machine's owner goroutine, as what unloads does.
func (m *mod) close() {
	close(m.closed)
	fn, err := m.function("deinit")
	if fn != nil && err == nil {
		_, err = fn.Call(m.table)
	}
	if err != nil {
		m.loader.Warn(fmt.Sprintf("module '%s': deinit: error: %s", m.name, script.Report(err)))
	}
}
