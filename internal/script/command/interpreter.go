package command

import (
	"kresd/internal/script"
	"kresd/internal/script/language"
)

// An Interpreter is a machine with the whole language, and what reads commands,
// expressions and files for it.
type Interpreter struct {
	*script.VM
	checker *checker // compiles only; has a state of its own
}

// New makes a machine with the language and the globals of this package, and starts its
// owner goroutine. It fails on a machine that was built without the patch.
func New(o script.Options) (*Interpreter, error) {
	in := &Interpreter{script.New(o), newChecker()}
	err := in.Begin(func(c *script.Call) error {
		language.Open(c)
		in.addGlobals()
		return language.SelfTest(c)
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}
