package ticket

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/textfile"
)

var secret = bytes.Repeat([]byte("secret"), 10)

// at is a time that is not near the end of an epoch.
var at = time.Unix(400_000<<epochBits+100, 0)

func keysOf(t *testing.T, now *clock.Fake, secret []byte) *Keys {
	t.Helper()
	k := New(&now.Clock)
	if err := k.SetSecret(secret); err != nil {
		t.Fatal(err)
	}
	return k
}

// serverOf has a certificate of its own, as another process would.
func serverOf(t *testing.T, k *Keys) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, Time: k.clock.Now}
	k.Use(conf)
	return conf
}

// A client asks servers one after the other, and keeps what they give.
type client struct{ conf *tls.Config }

func newClient(version uint16, now *clock.Fake) *client {
	return &client{&tls.Config{
		InsecureSkipVerify: true, ServerName: "resolver.example", MinVersion: version, MaxVersion: version,
		ClientSessionCache: tls.NewLRUClientSessionCache(4), Time: now.Now,
	}}
}

// resumes connects and tells whether it was a session that the client had before.
func (c *client) resumes(t *testing.T, server *tls.Config) bool {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	here, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	go func() {
		there, err := ln.Accept()
		if err != nil {
			return // the client tells
		}
		s := tls.Server(there, server)
		_, _ = s.Write([]byte("x"))
		_, _ = s.Read(make([]byte, 1)) // the client's end
		there.Close()
	}()
	conn := tls.Client(here, c.conf)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

func TestASessionIsResumedByWhoHasTheSecret(t *testing.T) {
	now := clock.NewFake(at)
	c := newClient(tls.VersionTLS13, now)
	if c.resumes(t, serverOf(t, keysOf(t, now, secret))) {
		t.Error("the first session was resumed")
	}
	if !c.resumes(t, serverOf(t, keysOf(t, now, secret))) {
		t.Error("a server with the same secret did not resume the session")
	}
	if c.resumes(t, serverOf(t, keysOf(t, now, append(secret, 'x')))) {
		t.Error("a server with another secret resumed the session")
	}
}

func TestWithoutASecretTheGroupsServes(t *testing.T) {
	now := clock.NewFake(at)
	c := newClient(tls.VersionTLS13, now)
	one, two, common := New(&now.Clock), New(&now.Clock), random()
	c.resumes(t, serverOf(t, one))
	if c.resumes(t, serverOf(t, two)) {
		t.Error("two random secrets are one")
	}
	for _, k := range []*Keys{one, two} {
		if err := k.Share(common); err != nil {
			t.Fatal(err)
		}
	}
	c.resumes(t, serverOf(t, one))
	if !c.resumes(t, serverOf(t, two)) {
		t.Error("another worker of the group did not resume the session")
	}
	if err := two.SetSecret(secret); err != nil {
		t.Fatal(err)
	}
	if c.resumes(t, serverOf(t, two)) {
		t.Error("the group's secret serves beside the operator's")
	}
	if err := two.SetSecret(nil); err != nil {
		t.Fatal(err)
	}
	c.resumes(t, serverOf(t, one))
	if !c.resumes(t, serverOf(t, two)) {
		t.Error("without the operator's secret the group's does not serve again")
	}
}

func TestAKeyIsAcceptedForTheNextEpochAndNotLonger(t *testing.T) {
	for epochs, want := range []bool{true, true, false} {
		now := clock.NewFake(at)
		c := newClient(tls.VersionTLS13, now)
		server := serverOf(t, keysOf(t, now, secret))
		c.resumes(t, server)
		now.Advance(time.Duration(epochs) << epochBits * time.Second)
		if got := c.resumes(t, server); got != want {
			t.Errorf("after %d epochs: resumed %v, want %v", epochs, got, want)
		}
	}
}

func TestThereAreNoTicketsBeforeTLS13(t *testing.T) {
	now := clock.NewFake(at)
	c := newClient(tls.VersionTLS12, now)
	server := serverOf(t, keysOf(t, now, secret))
	c.resumes(t, server)
	if _, kept := c.conf.ClientSessionCache.Get("resolver.example"); kept || c.resumes(t, server) {
		t.Error("a session of TLS 1.2 was given away")
	}
}

func TestShortSecretsAreRefused(t *testing.T) {
	k := New(clock.Real())
	for _, set := range []func([]byte) error{k.SetSecret, k.Share} {
		if err := set(secret[:limits.TicketSecretMin-1]); !errors.Is(err, ErrShort) {
			t.Errorf("a short secret: %v", err)
		}
		if err := set(secret[:limits.TicketSecretMin]); err != nil {
			t.Error(err)
		}
	}
	if k.SetSecret([]byte{}) == nil {
		t.Error("an empty secret was taken")
	}
}

func TestFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write := func(n int) {
		t.Helper()
		if err := os.WriteFile(path, bytes.Repeat([]byte{0, '\n'}, n)[:n], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for size, want := range map[int]int{32: 32, 33: 33, 1024: 1024, 5000: 1024} {
		write(size)
		if got, err := FromFile(textfile.Disk, path); err != nil || len(got) != want {
			t.Errorf("of %d octets: %d, %v; want %d", size, len(got), err, want)
		}
	}
	write(31)
	for name, want := range map[string]string{
		path:         "' has 31 octets: a secret of at least 32 octets is needed",
		path + ".no": ".no': no such file or directory",
		t.TempDir():  "': not a regular file",
	} {
		if _, err := FromFile(textfile.Disk, name); err == nil || !strings.HasSuffix(err.Error(), want) || !strings.HasPrefix(err.Error(), "'"+filepath.Dir(name)) {
			t.Errorf("%s: %v, want …%s", name, err, want)
		}
	}
}

// Who has the same secret has the same keys for other uses, and each use another.
func TestDerive(t *testing.T) {
	one, other := New(clock.Real()), New(clock.Real())
	if one.Derive("a") == other.Derive("a") {
		t.Error("two random secrets give one key")
	}
	secret := random()
	for _, k := range []*Keys{one, other} {
		if err := k.Share(secret); err != nil {
			t.Fatal(err)
		}
	}
	if one.Derive("a") != other.Derive("a") || one.Derive("a") == one.Derive("b") || one.Derive("a") == keyOf(1, secret) {
		t.Error("keys of one secret differ, or those of two uses do not")
	}
	if err := other.SetSecret(random()); err != nil || one.Derive("a") == other.Derive("a") {
		t.Errorf("the operator's secret changes nothing: %v", err)
	}
}
