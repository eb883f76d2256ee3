package bootstrap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"kresd/internal/limits"
	"kresd/internal/trustanchor"
	"kresd/internal/wording"
)

// Options say how anchors are fetched.
type Options struct {
	trustanchor.Source
	Now time.Time
	// Lookup finds the addresses of a host where the system cannot; it may be nil.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Note is told what an operator should know of what is believed all the same.
	Note func(line string)
}

// Fetch fetches the root's trust anchors and proves them.
func Fetch(ctx context.Context, o Options) (*trustanchor.KeySet, error) {
	xml, p7s, err := locations(o.URL)
	if err != nil {
		return nil, err
	}
	pool, err := authority(o.CA)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limits.BootstrapTime)
	defer cancel()
	client := o.client(pool)
	defer client.CloseIdleConnections()
	text, err := get(ctx, client, xml)
	if err != nil {
		return nil, err
	}
	signature, err := get(ctx, client, p7s)
	if err != nil {
		return nil, err
	}
	if err := verify(text, signature, pool, o.Now); err != nil {
		return nil, err
	}
	set, err := anchors(text, o.Now, o.Note)
	if err != nil {
		return nil, err
	}
	return set, crossCheck(set, o.CA == "")
}

// locations are the URLs of the anchors and of their signature beside them.
func locations(text string) (xml, p7s *url.URL, err error) {
	xml, err = url.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	if xml.Scheme != "https" || xml.Host == "" {
		return nil, nil, fmt.Errorf("'%s' is no https URL", text)
	}
	beside := *xml
	beside.Path = strings.TrimSuffix(xml.Path, path.Ext(xml.Path)) + ".p7s"
	beside.RawPath = ""
	return xml, &beside, nil
}

// client speaks to a server whoever it is; the signature is what counts.
func (o *Options) client(pool *x509.CertPool) *http.Client {
	told := false
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // judged below
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := judge(state, pool, o.Now); err != nil && !told {
			told = true
			o.Note(fmt.Sprintf("the server's certificate is not trusted by this machine, the signature of the trust anchors decides: %v", err))
		}
		return nil
	}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DialContext: o.dial, ForceAttemptHTTP2: true,
	}}
}

// judge verifies a server's chain by the machine's authorities or the pinned ones.
func judge(state tls.ConnectionState, pool *x509.CertPool, now time.Time) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("there is none")
	}
	options := x509.VerifyOptions{DNSName: state.ServerName, CurrentTime: now, Intermediates: x509.NewCertPool(), Roots: pool}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err == nil {
		return nil
	}
	options.Roots = nil
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}

// dial connects to a host that the system can find, or else Lookup.
func (o *Options) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	var unknown *net.DNSError
	if err == nil || o.Lookup == nil || !errors.As(err, &unknown) {
		return conn, err
	}
	host, port, split := net.SplitHostPort(address)
	if split != nil {
		return nil, err
	}
	addrs, failed := o.Lookup(ctx, host)
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	for _, a := range addrs {
		if conn, err = d.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// get reads one file.
func get(ctx context.Context, client *http.Client, from *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, failure(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: the server says %s", from, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, limits.BootstrapFile+1))
	if err == nil && len(text) > limits.BootstrapFile {
		err = fmt.Errorf("more than %d octets", limits.BootstrapFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, wording.Reason(err))
	}
	return text, nil
}

// failure is why a server could not be asked, without the URL, which stands before
// it.
func failure(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	var unknown *net.DNSError
	if errors.As(err, &unknown) {
		return err // it names the host
	}
	return wording.Reason(err)
}
