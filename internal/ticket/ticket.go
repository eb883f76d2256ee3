// Package ticket makes the keys by which a server of TLS encrypts the sessions
// that it gives to clients to keep (RFC 8446, section 4.6.1; RFC 5077), so that
// whoever has the same secret resumes them: all workers of a group, and all
// groups that are configured with one secret.
//
// A key lasts for an epoch of 4096 seconds and is accepted for another one, so
// what was recorded is safe from who learns the keys of a later epoch, though not
// from who learns the secret. Servers agree on epochs by their clocks and tell
// each other nothing.
//
// Tickets are for TLS 1.3 alone: before it they travel in the clear, at the
// beginning of the session that they give away.
package ticket

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// epochBits is the binary logarithm of an epoch's seconds.
const epochBits = 12

// ErrShort says that a secret can be guessed.
var ErrShort = fmt.Errorf("a secret of at least %d octets is needed", limits.TicketSecretMin)

// Keys are the keys of the present. They may be used by any goroutine.
type Keys struct {
	clock *clock.Clock
	now   atomic.Pointer[epoch]

	mu     sync.Mutex
	common []byte // of the group
	secret []byte // of the operator; nil: common serves
}

// An epoch has the keys of a time.
type epoch struct {
	number int64
	keys   tls.Config // nothing is set but its keys: the epoch's own and that of the one before
}

// New makes keys from a random secret of their own.
func New(c *clock.Clock) *Keys { return &Keys{clock: c, common: random()} }

// random is a secret that nobody can guess.
func random() []byte {
	secret := make([]byte, 64)
	_, _ = rand.Read(secret) // it never fails: without random numbers the process ends
	return secret
}

// Share replaces the random secret by the one that the group has in common.
func (k *Keys) Share(secret []byte) error {
	return k.change(&k.common, secret)
}

// SetSecret has the keys follow from a secret of the operator's, nil from the
// group's random one again.
func (k *Keys) SetSecret(secret []byte) error {
	if secret == nil {
		k.set(&k.secret, nil)
		return nil
	}
	return k.change(&k.secret, secret)
}

func (k *Keys) change(which *[]byte, to []byte) error {
	if len(to) < limits.TicketSecretMin {
		return ErrShort
	}
	k.set(which, slices.Clone(to))
	return nil
}

func (k *Keys) set(which *[]byte, to []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	*which = to
	k.now.Store(nil)
}

// Use has a server's settings give and take tickets by these keys.
func (k *Keys) Use(conf *tls.Config) {
	conf.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		return k.present().EncryptTicket(cs, s)
	}
	conf.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		return k.present().DecryptTicket(ticket, cs)
	}
	without := conf.Clone()
	without.SessionTicketsDisabled = true
	conf.GetConfigForClient = func(client *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(client.SupportedVersions, tls.VersionTLS13) {
			return nil, nil // the settings themselves serve
		}
		return without, nil
	}
}

// present has the keys of now.
func (k *Keys) present() *tls.Config {
	number := k.clock.Unix() >> epochBits
	if e := k.now.Load(); e != nil && e.number == number {
		return &e.keys
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	secret := k.common
	if k.secret != nil {
		secret = k.secret
	}
	e := &epoch{number: number}
	e.keys.SetSessionTicketKeys([][32]byte{keyOf(number, secret), keyOf(number-1, secret)})
	k.now.Store(e)
	return &e.keys
}

// keyOf is the key of an epoch: the first half of a digest of the epoch's number,
// as this machine writes a time, and the secret.
func keyOf(number int64, secret []byte) [32]byte {
	sum := sha3.Sum512(append(binary.NativeEndian.AppendUint64(nil, uint64(number)), secret...))
	return [32]byte(sum[:32])
}

// Derive makes a key for another use, named by label, of the same secret. It does not
// change with the epochs.
func (k *Keys) Derive(label string) [32]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	secret := k.common
	if k.secret != nil {
		secret = k.secret
	}
	key, err := hkdf.Key(sha256.New, secret, nil, label, 32)
	if err != nil {
		panic(err) // a length that no digest gives
	}
	return [32]byte(key)
}

// FromFile reads a secret, any octets. Of a longer file the first
// limits.TicketSecretMost octets count.
func FromFile(read textfile.Reader, path string) (secret []byte, err error) {
	err = read(path, func(f io.Reader, err error) error {
		if err == nil {
			secret, err = io.ReadAll(io.LimitReader(f, limits.TicketSecretMost))
		}
		switch {
		case err != nil:
			return fmt.Errorf("'%s': %w", path, wording.Reason(err))
		case len(secret) < limits.TicketSecretMin:
			return fmt.Errorf("'%s' has %d octets: %w", path, len(secret), ErrShort)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return secret, nil
}
