// Package privilege gives up what this process may do beyond its user: capabilities,
// more of them through programs that it runs, and an image of its memory, in which keys
// would be.
//
// A worker needs privileges to bind ports below 1024 and to become another user. When
// that is done they only serve somebody who has found a way into the process. All is
// given up by all threads at once (psx: the kernel knows such rights thread by thread),
// and there is no way back. The supervisor keeps what it has, and from its children, because it
// binds ports for those that it starts later; it reads nothing from anybody outside.
package privilege

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// A Right is a capability (capabilities(7)).
type Right = cap.Value

// Bind is to bind ports below 1024.
const Bind Right = cap.NET_BIND_SERVICE

// ToBecomeAnother are those by which root can become a user later, with files that are
// the user's.
func ToBecomeAnother() []Right {
	return []Right{cap.SETUID, cap.SETGID, cap.CHOWN, cap.FOWNER, cap.DAC_OVERRIDE, cap.DAC_READ_SEARCH, Bind}
}

// Renounce gives up all capabilities but those of keep that the process has, and lets
// no program that it runs have more than it has itself (no_new_privs). Unless image is
// true its memory is kept out of core dumps, and from debuggers of its user (Hide). What
// fails keeps nothing else from being given up; the error joins all that failed.
func Renounce(image bool, keep ...Right) error {
	var hidden error
	if !image {
		hidden = Hide()
		// Hide is enough; this is what an operator looks for, and a unit may forbid it.
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	}
	return errors.Join(hidden, KeepFromChildren(), keepOnly(keep), noNewPrivileges())
}

// keepOnly gives up all capabilities but those of keep that the process has.
func keepOnly(keep []Right) error {
	rest, err := heldOf(keep)
	if err != nil {
		return err
	}
	if err := set(rest); err != nil {
		return fmt.Errorf("capabilities cannot be given up: %w", err)
	}
	return nil
}

// noNewPrivileges lets no program that this process runs have more than it has itself.
func noNewPrivileges() error {
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("that no program gets more privileges cannot be set: %w", err)
	}
	return nil
}

// Hide keeps the memory of this process out of core dumps and from other processes of its
// user, which could have it do whatever it may (PR_SET_DUMPABLE, ptrace(2)). Its files in
// /proc are root's from then on. A program that is executed begins without.
func Hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("core dumps cannot be turned off: %w", err)
	}
	return nil
}

// KeepFromChildren has the programs that this process starts get none of its capabilities,
// unless it is root's; it keeps them itself.
func KeepFromChildren() error {
	if err := cap.ResetAmbient(); err != nil {
		return fmt.Errorf("ambient capabilities cannot be given up: %w", err)
	}
	return nil
}

// HandOn is for a program that is executed in the place of this one: it gets what this one
// has and could be given. After an error nothing is handed on, to no program.
func HandOn() error {
	var rights []Right
	have := cap.GetProc()
	for right := Right(0); right < cap.MaxBits(); right++ {
		permitted, err := have.GetFlag(cap.Permitted, right)
		inheritable, bad := have.GetFlag(cap.Inheritable, right)
		if err == nil && bad == nil && permitted && inheritable {
			rights = append(rights, right)
		}
	}
	return handOn(rights, func(right Right) error { return cap.SetAmbient(true, right) })
}

// handOn hands on all of the rights, one by one, or none.
func handOn(rights []Right, one func(Right) error) error {
	for _, right := range rights {
		if err := one(right); err != nil {
			return errors.Join(fmt.Errorf("capability %v cannot be handed on: %w", right, err), KeepFromChildren())
		}
	}
	return nil
}

// set has all threads hold these and no others. The filter of a unit may forbid the call
// (SystemCallFilter=~@privileged); that is no failure where there is nothing to give up
// but the right to bind ports.
func set(rest *cap.Set) error {
	have := cap.GetProc()
	if d, err := have.Cf(rest); err == nil && d == 0 {
		return nil
	}
	err := rest.SetProc()
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	bind, bad := heldOf([]Right{Bind})
	if d, bad2 := have.Cf(bind); bad == nil && bad2 == nil && !d.Has(cap.Permitted) && !d.Has(cap.Effective) {
		return nil
	}
	return err
}

// heldOf is what the process has of some capabilities.
func heldOf(keep []Right) (*cap.Set, error) {
	have, rest := cap.GetProc(), cap.NewSet()
	for _, right := range keep {
		if held, err := have.GetFlag(cap.Permitted, right); err != nil || !held {
			continue
		}
		for _, set := range []cap.Flag{cap.Permitted, cap.Effective} {
			if err := rest.SetFlag(set, true, right); err != nil {
				return nil, fmt.Errorf("capability %v: %w", right, err)
			}
		}
	}
	return rest, nil
}
