package bindings

import "testing"

// Scripts for kresd 5 write lines of a group and a level; debug lines appear where they are
// wanted.
func TestScriptsWriteLinesOfAGroup(t *testing.T) {
	w := newWorld(t)
	w.expectFile(`local C = require('ffi').C
log_info(C.LOG_GRP_POLICY, '%d names\n', 3)
log_notice(C.LOG_GRP_MODULE, 'ready')
log_warn(C.LOG_GRP_SYSTEM, 'low on %s', 'disk')
log_error(C.LOG_GRP_HINT, 'gone')
log_debug(C.LOG_GRP_CACHE, 'not wanted')
log_groups({ 'cache' })
log_debug(C.LOG_GRP_CACHE, 'wanted %s', 'here')`, "")
	if got, want := w.log.take(), "[poli] 3 names\n[module] ready\n[system] low on disk\n[hint] gone\n[cache] wanted here\n"; got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
	w.expect(
		step{"log_info('nogroup', 'x')", "ERROR [string \"log_info('nogroup', 'x')\"]:1: bad argument #1 to 'log_info' (a group expected, …"},
		step{"log_info('only %s')", "ERROR [string \"log_info('only %s')\"]:1: wrong number of arguments to 'log_info'…"},
		step{"log_warn('module', '%d', 'x')", "ERROR [string \"log_warn('module', '%d', 'x')\"]:1: bad argument #3 to 'log_warn' (number expected, got string)…"},
	)
}
