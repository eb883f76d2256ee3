package worker

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"time"

	"kresd/internal/certificate"
	"kresd/internal/clock"
	"kresd/internal/ipc"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/settings"
	"kresd/internal/textfile"
	"kresd/internal/ticket"
)

// encryption is what the transports that are encrypted have in common: the
// certificate, and the keys of tickets, by which a client resumes its session at
// any worker of the group.
type encryption struct {
	clock       *clock.Clock
	host        func() string
	link        *ipc.Link
	log         *logging.Logger
	files       textfile.Reader
	certificate *certificate.Store
	authorities *certificate.Authorities
	tickets     *ticket.Keys
	renewed     func() // is told that keys follow from another secret; it must not wait

	mu      sync.Mutex
	configs map[string]*tls.Config // by the protocols, made at their first use
}

func newEncryption(c *clock.Clock, link *ipc.Link, s *settings.Settings, log *logging.Logger, files textfile.Reader, distrust func(file string)) *encryption {
	e := &encryption{clock: c, host: func() string { return hostname(s) }, link: link, log: log.Group("tls"), files: files, tickets: ticket.New(c), configs: map[string]*tls.Config{}}
	e.authorities = certificate.NewAuthorities(files, e.notice, e.alert, distrust)
	e.certificate = certificate.NewStore(certificate.Options{
		Clock:       c,
		Hostname:    e.host,
		Authorities: e.authorities,
		Files:       files,
		Notice:      e.notice,
		Alert:       e.alert,
		Warn:        func(line string) { e.log.Warn(line) },
	})
	e.share()
	return e
}

// share has the keys of tickets follow from what the group has in common.
func (e *encryption) share() {
	if e.link == nil {
		return
	}
	select { // it was sent before this process was started
	case secret := <-e.link.Secret():
		if err := e.tickets.Share(secret); err != nil {
			e.log.Warn(fmt.Sprintf("clients resume their sessions at the same worker only: %v", err))
		}
	case <-e.link.Closed():
	}
}

// notice tells, once in a group, what is the same in all its workers.
func (e *encryption) notice(line string) {
	if e.link.ID() == 0 {
		e.log.Notice(line)
	}
}

// alert warns, once in a group, of what is the same in all its workers.
func (e *encryption) alert(line string) {
	if e.link.ID() == 0 {
		e.log.Warn(line)
	}
}

// config implements listen.Options.TLS: all connections on which the same protocols
// are spoken have the same settings.
func (e *encryption) config(protocols ...string) *tls.Config {
	name := strings.Join(protocols, " ")
	e.mu.Lock()
	defer e.mu.Unlock()
	conf := e.configs[name]
	if conf == nil {
		conf = e.newConfig(protocols)
		e.configs[name] = conf
	}
	return conf
}

func (e *encryption) newConfig(protocols []string) *tls.Config {
	conf := &tls.Config{
		GetCertificate: e.certificate.Get,
		NextProtos:     protocols,
		MinVersion:     tls.VersionTLS12, // RFC 8310, section 8.1, by way of RFC 9325
		Time:           e.clock.Now,
		// A batch of answers leaves as one record.
		DynamicRecordSizingDisabled: true,
	}
	e.tickets.Use(conf)
	return conf
}

// begin shows which certificate serves, if an encrypted transport is served, so
// that what is wrong with it is known before the first client comes.
func (e *encryption) begin(server *listen.Server) {
	if !server.Any(func(at listen.Endpoint) bool { return at.Kind.Secured() }) {
		return
	}
	if _, err := e.certificate.Get(nil); err != nil {
		e.log.Error(fmt.Sprintf("there is no certificate for clients: %v", err))
	}
}

// listened shows which certificate serves where a script has opened an encrypted
// transport after the start. Only the worker that runs the script does it, whichever
// that is; it says nothing that it has just said.
func (e *encryption) listened() {
	known := e.certificate.Ready()
	leaf, err := e.certificate.Leaf()
	switch {
	case err != nil:
		e.log.Error(fmt.Sprintf("there is no certificate for clients: %v", err))
	case known || e.link.ID() != 0:
		e.log.Notice(fmt.Sprintf("clients are shown a certificate until %s, pin-sha256 '%s'", leaf.NotAfter.UTC().Format(time.DateOnly), certificate.Pin(leaf)))
	}
}

// UseCertificate implements network.Encryption.
func (e *encryption) UseCertificate(certFile, keyFile string) error {
	return e.certificate.Use(certFile, keyFile)
}

// UseAuthorities implements network.Encryption.
func (e *encryption) UseAuthorities(file string) error { return e.authorities.Use(file) }

// Certificate implements network.Encryption.
func (e *encryption) Certificate() (certFile, keyFile string, end time.Time) {
	certFile, keyFile = e.certificate.Files()
	return certFile, keyFile, e.certificate.End()
}

// UseTicketSecret implements network.Encryption.
func (e *encryption) UseTicketSecret(file string) error {
	secret, err := ticket.FromFile(e.files, file)
	if err != nil {
		return err
	}
	return e.SetTicketSecret(secret)
}

// SetTicketSecret implements network.Encryption. What is listened on over QUIC has other keys
// soon.
func (e *encryption) SetTicketSecret(secret []byte) error {
	if err := e.tickets.SetSecret(secret); err != nil {
		return err
	}
	e.renewed()
	return nil
}
