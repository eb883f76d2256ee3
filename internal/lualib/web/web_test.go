package web

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"kresd/internal/lualib/ltn12"
	"kresd/internal/lualib/urls"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/script/command"
)

// site answers as its paths say.
func site(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Colour", "blue")
		w.Header().Add("X-Colour", "red")
		fmt.Fprint(w, "hello world")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s %s %d %q %s:%s %s %s", r.Method, r.Header.Get("Content-Type"), r.ContentLength, body, user, password, r.Header.Get("X-Mine"), r.URL.RawQuery)
	})
	mux.HandleFunc("/missing", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "nothing here", http.StatusNotFound) })
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.FormValue("u"), http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "short")
	})
	return mux
}

// a world is a machine with the libraries, and a server.
type world struct {
	t      *testing.T
	vm     *command.Interpreter
	server *httptest.Server
}

func newWorld(t *testing.T, start func(http.Handler) *httptest.Server) *world {
	vm, err := command.New(script.Options{Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	if err := vm.Do(t.Context(), func(*script.Call) error {
		vm.AddLibraries(Libraries()...)
		vm.AddLibraries(ltn12.Libraries()...)
		vm.AddLibraries(urls.Libraries()...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	server := start(site(t))
	t.Cleanup(server.Close)
	return &world{t, vm, server}
}

// run returns what a chunk returns: http and https are the libraries, base the server's
// URL.
func (w *world) run(chunk string) string {
	text, _ := w.vm.Eval(context.Background(), fmt.Sprintf(`local http, https, ltn12, base = require('socket.http'), require('ssl.https'), require('ltn12'), '%s'
		local function all(...) local t = { n = select('#', ...), ... } for i = 1, t.n do t[i] = type(t[i]) == 'table' and 'table' or tostring(t[i]) end return table.concat(t, '|', 1, t.n) end
		%s`, w.server.URL, chunk))
	return text
}

func (w *world) expect(pairs ...[2]string) {
	w.t.Helper()
	for _, p := range pairs {
		if got := w.run(p[0]); got != p[1] {
			w.t.Errorf("%s\n got %q\nwant %q", p[0], got, p[1])
		}
	}
}

func TestSimpleRequests(t *testing.T) {
	newWorld(t, httptest.NewServer).expect(
		[2]string{"return all(http.request(base .. '/hello'))", "hello world|200|table|HTTP/1.1 200 OK"},
		[2]string{"local _, _, h = http.request(base .. '/hello') return all(h['x-colour'], h['content-length'], h['X-Colour'])", "blue, red|11|nil"},
		[2]string{"return all(http.request(base .. '/echo?q=1', 'a=b'))", `POST application/x-www-form-urlencoded 3 "a=b" :  q=1|200|table|HTTP/1.1 200 OK`},
		[2]string{"return all(http.request(base .. '/missing'))", "nothing here\n|404|table|HTTP/1.1 404 Not Found"},
		[2]string{"return (http.request((base:gsub('//', '//user:p%%40@')) .. '/echo'))", `GET  0 "" user:p@  `},
		[2]string{"return #http.request(base .. '/large')", "1048576"},
		[2]string{"return all(http.request((base:gsub('^http:', 'HTTP:')) .. '/hello'))", "hello world|200|table|HTTP/1.1 200 OK"},
	)
}

func TestGenericRequests(t *testing.T) {
	newWorld(t, httptest.NewServer).expect(
		[2]string{"local t = {} local r = all(http.request{ url = base .. '/hello', sink = ltn12.sink.table(t) }) return r .. '|' .. table.concat(t)", "1|200|table|HTTP/1.1 200 OK|hello world"},
		[2]string{"return all(http.request{ url = base .. '/hello', method = 'HEAD' })", "1|200|table|HTTP/1.1 200 OK"},
		[2]string{"local t = {} http.request{ url = base .. '/echo', method = 'PUT', source = ltn12.source.string('body'), headers = { ['content-length'] = 4, ['X-Mine'] = 'yes' }, sink = ltn12.sink.table(t) } return table.concat(t)", `PUT  4 "body" : yes `},
		[2]string{"local t = {} http.request{ url = base .. '/echo', method = 'PUT', source = ltn12.source.table{ 'in ', 'pieces' }, sink = ltn12.sink.table(t) } return table.concat(t)", `PUT  -1 "in pieces" :  `},
		[2]string{"local t, steps = {}, 0 http.request{ url = base .. '/large', sink = ltn12.sink.table(t), step = function(...) steps = steps + 1 return ltn12.pump.step(...) end } return all(#table.concat(t), steps > 1)", "1048576|true"},
		[2]string{"local t = {} http.request{ url = base .. '/hello', sink = ltn12.sink.chain(function(c) return c and c:upper() end, ltn12.sink.table(t)) } return table.concat(t)", "HELLO WORLD"},
		[2]string{"local u = require('socket.url').parse(base) local t = {} http.request{ host = u.host, port = u.port, path = '/echo', query = 'x', user = 'me', password = 'pw', sink = ltn12.sink.table(t) } return table.concat(t)", `GET  0 "" me:pw  x`},
		[2]string{"return all(http.request{ url = base .. '/hello', sink = ltn12.sink.error('full') })", "nil|full"},
		[2]string{"return all(http.request{ url = base .. '/echo', method = 'POST', source = ltn12.source.error('dry') })", "nil|dry"},
		[2]string{"return select(2, pcall(http.request, { url = base .. '/hello', sink = function() error('broken', 0) end }))", "broken"},
		[2]string{"local t = {} local co = coroutine.wrap(function() http.request{ url = base .. '/hello', sink = function(c) if c then coroutine.yield(c) end return 1 end } return 'end' end) return all(co(), co())", "hello world|end"},
		[2]string{"local t = {} return all(http.request{ url = 'http://elsewhere.example/hello', proxy = base, sink = ltn12.sink.table(t) }, table.concat(t))", "1|hello world"},
	)
}

func TestRedirects(t *testing.T) {
	w := newWorld(t, httptest.NewServer)
	w.expect(
		[2]string{"return all(http.request(base .. '/to?u=/hello'))", "hello world|200|table|HTTP/1.1 200 OK"},
		[2]string{"return all(http.request(base .. '/to?u=/to?u=hello'))", "hello world|200|table|HTTP/1.1 200 OK"},
		[2]string{"return all(http.request{ url = base .. '/to?u=/hello', redirect = false })", "1|302|table|HTTP/1.1 302 Found"},
		[2]string{"return select(2, http.request(base .. '/loop'))", "302"},
		[2]string{"return select(2, http.request(base .. '/to?u=/hello', 'posted'))", "302"},
		[2]string{"return all(http.request(base .. '/to?u=ftp://a.example/'))", "nil|unknown scheme 'ftp'"},
		[2]string{"return (http.request((base:gsub('//', '//me:pw@')) .. '/to?u=' .. base:gsub('127.0.0.1', 'localhost') .. '/echo'))", `GET  0 "" :  `},
	)
}

// A certificate that nobody vouches for is refused, unless a script says otherwise.
func TestCertificatesAreVerified(t *testing.T) {
	w := newWorld(t, httptest.NewTLSServer)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	w.expect(
		[2]string{"return (select(2, https.request(base .. '/hello')):match('^certificate verify failed'))", "certificate verify failed"},
		[2]string{"return (select(2, http.request(base .. '/hello')):match('^certificate verify failed'))", "certificate verify failed"},
		[2]string{"return all(https.request{ url = base .. '/hello', cafile = '" + file + "' })", "1|200|table|HTTP/1.1 200 OK"},
		[2]string{"return all(https.request{ url = base .. '/hello', verify = 'none' })", "1|200|table|HTTP/1.1 200 OK"},
		[2]string{"return all(https.request{ url = base .. '/hello', cafile = '/nonexistent' })", "nil|cafile '/nonexistent': no such file or directory"},
		[2]string{"return all(https.request{ url = base .. '/to?u=http://127.0.0.1:1/', verify = 'none' })", "1|302|table|HTTP/1.1 302 Found"},
		[2]string{"return all(https.request{ url = base .. '/to?u=http://127.0.0.1:1/', verify = 'none', redirect = 'all' })", "nil|connection refused"},
	)
}

func TestRequestsThatFailSayWhy(t *testing.T) {
	w := newWorld(t, httptest.NewServer)
	w.expect(
		[2]string{"return all(http.request('http://127.0.0.1:1/'))", "nil|connection refused"},
		[2]string{"return all(http.request('ftp://a.example/'))", "nil|unknown scheme 'ftp'"},
		[2]string{"return all(http.request('http:///x'))", "nil|invalid host 'nil'"},
		[2]string{"return all(http.request(''))", "nil|invalid url"},
		[2]string{"return all(http.request{ url = base .. '/cut' })", "nil|closed"},
		[2]string{"return all(http.request(base .. '/endless'))", "nil|the answer is too large for a string: give a sink"},
		[2]string{"return select(2, pcall(http.request, { url = base, create = print }))", "socket.http.request with 'create' is not supported; connections are made by the library itself: set 'proxy' or socket.http.TIMEOUT"},
		[2]string{"return select(2, pcall(http.open, 'a.example'))", "socket.http.open is not supported; use socket.http.request"},
		[2]string{"return all(http.request{ url = base, proxy = 'nonsense' })", "nil|'nonsense' is no proxy's URL"},
		[2]string{"return tostring((pcall(http.request, 5)))", "false"},
	)
}

// hanging is a server that answers nobody until it is closed, and tells of each request
// whose client went away.
func hanging(t *testing.T) (url string, arrived, gone chan struct{}) {
	arrived, gone = make(chan struct{}, 10), make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	t.Cleanup(server.Close)
	return server.URL, arrived, gone
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatal(what)
	}
}

func TestRequestsThatHangEnd(t *testing.T) {
	w := newWorld(t, httptest.NewServer)
	url, _, gone := hanging(t)
	w.expect([2]string{"http.TIMEOUT = 0.05 return all(http.request('" + url + "'))", "nil|timeout"})
	within(t, "the connection is still there", gone)
}

// While a command waits for a server, the machine serves others; and when the command is
// given up, so is the request.
func TestRequestsHoldUpNobody(t *testing.T) {
	w := newWorld(t, httptest.NewServer)
	url, arrived, gone := hanging(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan string, 1)
	go func() {
		text, _ := w.vm.Eval(ctx, "return require('socket.http').request('"+url+"')")
		ended <- text
	}()
	within(t, "no request arrived", arrived)
	w.expect([2]string{"return 1 + 1", "2"})
	cancel()
	within(t, "the request goes on", gone)
	if got := <-ended; !strings.Contains(got, "interrupted") {
		t.Errorf("the command ended with %q", got)
	}
}

// An exchange that no script can name any more ends.
func TestForgottenExchangesEnd(t *testing.T) {
	url, arrived, gone := hanging(t)
	if _, err := newExchange((&luavalue.Table{}).Add("url", url).Add("method", "GET").Add("headers", &luavalue.Table{})); err != nil {
		t.Fatal(err)
	}
	within(t, "no request arrived", arrived)
	deadline := time.After(time.Minute)
	for {
		runtime.GC()
		select {
		case <-gone:
			return
		case <-deadline:
			t.Fatal("the request goes on")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
