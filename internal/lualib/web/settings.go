package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// settings are what http.lua says of a request.
type settings struct {
	url, method       string
	headers           *luavalue.Table
	timeout           time.Duration // of each read and write; 0: no limit but that of the whole
	proxy             string
	user, password    string
	hasBody           bool
	unverified        bool
	cafile, capath    string
	certificate, keys string
}

func read(t *luavalue.Table) (*settings, error) {
	s := &settings{}
	for name, to := range map[string]*string{
		"url": &s.url, "method": &s.method, "proxy": &s.proxy, "user": &s.user, "password": &s.password,
		"cafile": &s.cafile, "capath": &s.capath, "certificate": &s.certificate, "key": &s.keys,
	} {
		if v := t.Get(name); v != nil {
			text, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("'%s' must be a string", name)
			}
			*to = text
		}
	}
	s.headers, _ = t.Get("headers").(*luavalue.Table)
	s.hasBody = t.Get("body") == true
	s.unverified = t.Get("verify") == "none"
	if seconds, _ := t.Get("timeout").(float64); seconds > 0 {
		s.timeout = time.Duration(min(seconds, limits.LuaDownloadTime.Seconds()) * float64(time.Second))
	}
	return s, nil
}

// request makes the request of net/http.
func (s *settings) request(ctx context.Context, body io.ReadCloser) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, s.method, s.url, nil)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, err
	}
	if body != nil {
		request.Body, request.ContentLength = body, -1
	}
	if s.user != "" {
		request.SetBasicAuth(s.user, s.password)
	}
	for _, p := range s.headers.Pairs {
		name, value := fmt.Sprint(p.Key), fmt.Sprint(p.Value)
		switch name {
		case "host":
			request.Host = value
		case "content-length":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && body != nil {
				if request.ContentLength = n; n == 0 {
					request.Body = http.NoBody
				}
			}
		case "connection", "te", "transfer-encoding": // of the connection, which is not the script's
		default:
			request.Header.Set(name, value)
		}
	}
	return request, nil
}

// client makes a client whose only connection is for one request.
func (s *settings) client() (*http.Client, error) {
	secure, err := s.secure()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:            s.dial,
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    s.timeout,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: limits.LuaHeader,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 alone
	}
	if s.proxy != "" {
		proxy, err := url.Parse(s.proxy)
		if err != nil || proxy.Host == "" {
			return nil, fmt.Errorf("'%s' is no proxy's URL", s.proxy)
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// secure is how a server proves who it is, and this side.
func (s *settings) secure() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: s.unverified}
	files := []string{s.cafile}
	if s.capath != "" {
		files, _ = filepath.Glob(filepath.Join(s.capath, "*"))
	}
	if s.cafile != "" || s.capath != "" {
		config.RootCAs = x509.NewCertPool()
		for _, file := range files {
			if err := trust(config.RootCAs, file); err != nil && s.capath == "" {
				return nil, err
			}
		}
	}
	if s.certificate != "" {
		pair, err := pairOf(s.certificate, s.keys)
		if err != nil {
			return nil, fmt.Errorf("certificate '%s': %w", s.certificate, wording.Reason(err))
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// pairOf is a certificate and its key.
func pairOf(certificate, key string) (pair tls.Certificate, err error) {
	cert, err := textfile.Read(certificate, limits.LuaString)
	if err != nil {
		return pair, err
	}
	text, err := textfile.Read(key, limits.LuaString)
	if err != nil {
		return pair, err
	}
	return tls.X509KeyPair(cert, text)
}

// trust adds the certificates of a file.
func trust(pool *x509.CertPool, file string) error {
	f, err := textfile.Open(file)
	if err != nil {
		return fmt.Errorf("cafile '%s': %w", file, wording.Reason(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limits.LuaString))
	if err != nil || !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("cafile '%s' has no certificates", file)
	}
	return nil
}

func (s *settings) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: s.timeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &patient{conn, s.timeout}, nil
}

// patient is a connection of which each read and write has its time.
type patient struct {
	net.Conn
	timeout time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	p.extend()
	return p.Conn.Read(b)
}

func (p *patient) Write(b []byte) (int, error) {
	p.extend()
	return p.Conn.Write(b)
}

// extend gives reads and writes their time from here on: who sends a long body waits
// for the answer all the while.
func (p *patient) extend() {
	if p.timeout > 0 {
		_ = p.SetDeadline(time.Now().Add(p.timeout)) // fails on a closed connection, as what follows does
	}
}
