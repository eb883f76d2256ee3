package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// fromParent is the manual's example "download cache from parent", but for the two
// places, which come by the environment.
const fromParent = `local http = require('socket.http')
local ltn12 = require('ltn12')

local cache_size = 100*MB
local cache_path = env.CACHE_PATH
cache.open(cache_size, 'lmdb://' .. cache_path)
if cache.count() == 0 then
        cache.close()
        -- download cache from parent
        http.request {
                url = env.PARENT .. '/data.mdb',
                sink = ltn12.sink.file(io.open(cache_path .. '/data.mdb', 'w'))
        }
        -- reopen cache with 100M limit
        cache.open(cache_size, 'lmdb://' .. cache_path)
end
`

// A parent that answers and writes gives its data.mdb to new groups by a plain web
// server. Each of them starts with what the parent knew, or, where the file arrives
// damaged, with nothing: it answers in any case.
func TestManualCacheDownload(t *testing.T) {
	internet := proctest.SmallInternet(t)
	parent := proctest.Start(t, proctest.On(t, internet, 2))
	for i := range 300 {
		parent.Ask(t, "udp", fmt.Sprintf("parent%d.wild.example.com", i), dns.TypeA, 1232)
	}
	count(t, parent)
	server := httptest.NewServer(serveCache(filepath.Join(parent.Dir, "data.mdb")))
	t.Cleanup(server.Close)
	load := proctest.Load(t, parent.Addr, 500, names...) // so that the file is written meanwhile
	defer func() { lossless(t, "the parent", load.Stop(), 0) }()
	stop := writeOn(t, parent)
	defer stop()
	for _, way := range []string{"half", "foreign", "missing", "torn"} {
		t.Run(way, func(t *testing.T) {
			if startsFromParent(t, proctest.On(t, internet, 2), server.URL+"/"+way) {
				t.Error("it has the parent's entries")
			}
		})
	}
	t.Run("whole", func(t *testing.T) {
		// A file that is written while it is read may not fit together. Then it is put
		// aside too, and another group has more luck.
		for range 10 {
			if startsFromParent(t, proctest.On(t, internet, 2), server.URL+"/whole") {
				return
			}
		}
		t.Error("no group has the parent's entries")
	})
}

// serveCache serves the file as it is at /whole, and what may come of it on its way.
func serveCache(path string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/whole/data.mdb", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	mux.HandleFunc("/half/data.mdb", func(w http.ResponseWriter, _ *http.Request) {
		data, err := os.ReadFile(path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(data[:used(data)/2])
	})
	mux.HandleFunc("/foreign/data.mdb", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("no cache at all\n", 1000))
	})
	mux.HandleFunc("/torn/data.mdb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		io.WriteString(w, "the connection ends here")
	})
	return mux
}

// used is where the last octet of a file stands that is not zero.
func used(data []byte) int { return len(strings.TrimRight(string(data), "\x00")) }

// writeOn asks the parent for names that it does not know until stopped.
func writeOn(t *testing.T, g *proctest.Group) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
				_, _ = proctest.Exchange("udp", g.Addr, proctest.Query(fmt.Sprintf("later%d.wild.example.com", i), dns.TypeA, 1232))
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// startsFromParent starts a group and tells whether it has the parent's entries. If not,
// it must have put aside what it downloaded.
func startsFromParent(t *testing.T, config proctest.Config, url string) (inherits bool) {
	config.Dir = proctest.RunDir(t)
	config.Env = append(config.Env, "CACHE_PATH="+config.Dir, "PARENT="+url)
	config.Lua = strings.Replace(config.Lua, "cache.size = 20 * MB\n", fromParent, 1)
	g := proctest.Start(t, config)
	for i := range 20 {
		if r := g.Ask(t, "udp", fmt.Sprintf("parent%d.wild.example.com", i), dns.TypeA, 1232); r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
			t.Errorf("it answers %v", r)
		}
	}
	n := -1
	proctest.Eventually(t, 30*time.Second, "cache.count() is a number", func() bool { // while the other worker downloads, it is not
		var err error
		n, err = strconv.Atoi(strings.TrimSpace(g.Eval(t, "cache.count()")))
		return err == nil
	})
	inherits = n >= 300
	aside, err := filepath.Glob(filepath.Join(g.Dir, "data.mdb.bad-*"))
	if err != nil || inherits != (len(aside) == 0) {
		t.Errorf("%d entries, put aside: %v %v; log:\n%s", n, aside, err, g.Log())
	}
	return inherits
}
