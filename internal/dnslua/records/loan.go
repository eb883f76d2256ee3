package records

import "kresd/internal/script"

// A Loan says whether a script may use what belongs to a request. A nil one is for what the
// script has for good.
type Loan struct{ open bool }

// During runs fn while the script may use it.
func (l *Loan) During(fn func() error) error {
	was := l.open
	l.open = true
	defer func() { l.open = was }()
	return fn()
}

// Over tells whether the script may not use it any more.
func (l *Loan) Over() bool { return l != nil && !l.open }

// Must raises an error in the script when it may not use it any more.
func (l *Loan) Must(c *script.Call) {
	if l.Over() {
		c.Raise(script.Usage("this request is over: a request, and what belongs to it, must not be kept beyond the call that gave it"))
	}
}
