package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kresd/internal/limits"
	"kresd/internal/lualib/trust"
	"kresd/internal/luavalue"
)

// settings are what http.lua says of a request.
type settings struct {
	url, method    string
	headers        *luavalue.Table
	timeout        time.Duration // of each read and write; 0: no limit but that of the whole
	proxy          string
	user, password string
	hasBody        bool
	trust          trust.Fields
}

func read(t *luavalue.Table) (*settings, error) {
	s, err := &settings{}, error(nil)
	for name, to := range map[string]*string{
		"url": &s.url, "method": &s.method, "proxy": &s.proxy, "user": &s.user, "password": &s.password,
	} {
		if *to, err = trust.Text(t, name); err != nil {
			return nil, err
		}
	}
	if s.trust, err = trust.Read(t); err != nil {
		return nil, err
	}
	s.headers, _ = t.Get("headers").(*luavalue.Table)
	s.hasBody = t.Get("body") == true
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
	secure, err := s.trust.Config()
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
