package network

import (
	"fmt"
	"time"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// encryption are the functions of net about encrypted transports for clients.
func encryption(d *Host) []script.Func {
	return []script.Func{
		{Name: "tls", Args: "[certificate, key]", Max: 2, Fn: func(c *script.Call) error { return serverCertificate(d, c) }},
		{Name: "tls_server", Args: "[certificate, key]", Max: 2, Fn: func(c *script.Call) error { return serverCertificate(d, c) }},
		{Name: "tls_sticket_secret", Args: "[secret]", Max: 1, Fn: func(c *script.Call) error { return ticketSecret(d, c) }},
		{Name: "tls_sticket_secret_file", Args: "file", Min: 1, Max: 1, Fn: func(c *script.Call) error { return ticketSecretFile(d, c) }},
		{Name: "tls_handshake_timeout", Args: "[ms]", Max: 1,
			Fn: func(c *script.Call) error { return milliseconds(d, c, &d.Settings.TLSHandshake, 1) }},
		{Name: "tls_padding", Args: "[true | false | octets]", Max: 1, Fn: func(c *script.Call) error { return padding(d, c) }},
	}
}

// serverCertificate is net.tls: it tells which files are in use, or takes others.
func serverCertificate(d *Host, c *script.Call) error {
	switch c.NArgs() {
	case 0:
		certFile, keyFile, end := d.Encryption.Certificate()
		if certFile == "" {
			return c.Return()
		}
		return c.Return((&luavalue.Table{}).Add("cert_file", certFile).Add("key_file", keyFile).
			Add("not_after", end.UTC().Format(time.RFC3339)))
	case 1:
		return fmt.Errorf("net.tls: a certificate and its key are two files: net.tls('server.crt', 'server.key')")
	}
	if err := d.Encryption.UseCertificate(c.Text(1), c.Text(2)); err != nil {
		return fmt.Errorf("net.tls: %w", err)
	}
	return c.Return(true)
}

// ticketSecret is net.tls_sticket_secret. Its errors do not show the secret.
func ticketSecret(d *Host, c *script.Call) error {
	var secret []byte
	if c.NArgs() > 0 {
		secret = []byte(c.Text(1))
	}
	if err := d.Encryption.SetTicketSecret(secret); err != nil {
		return fmt.Errorf("net.tls_sticket_secret: %w", err)
	}
	return c.Return(true)
}

// ticketSecretFile is net.tls_sticket_secret_file.
func ticketSecretFile(d *Host, c *script.Call) error {
	err := d.Encryption.UseTicketSecret(c.Text(1))
	if err != nil {
		return fmt.Errorf("net.tls_sticket_secret_file: %w", err)
	}
	return c.Return(true)
}
