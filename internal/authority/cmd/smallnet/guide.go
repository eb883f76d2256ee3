package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/safe"
)

// tell waits for kresd's first answer and then says on the screen how to go on.
// The channel is closed when it has nothing more to say.
func tell(ctx context.Context, o options, started time.Time) <-chan struct{} {
	done := make(chan struct{})
	safe.Go("guide", nil, func() {
		defer close(done)
		if firstAnswer(ctx, endpoint(o)) {
			took := time.Since(started)
			fmt.Print(guide(o, took, consoles(ctx, o)))
		}
	})
	return done
}

// firstAnswer asks until an answer comes or ctx ends.
func firstAnswer(ctx context.Context, server string) bool {
	for ctx.Err() == nil {
		q := new(dns.Msg)
		q.SetQuestion("www.example.com.", dns.TypeA)
		c := &dns.Client{Timeout: 2 * time.Second}
		if r, _, err := c.ExchangeContext(ctx, q, server); err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) > 0 {
			return true
		}
		pause(ctx, 20*time.Millisecond)
	}
	return false
}

// consoles returns the control sockets once all workers have one, or those that
// are there after two seconds.
func consoles(ctx context.Context, o options) []string {
	var found []string
	for range 100 {
		found = alive(filepath.Join(o.rundir, "tty"))
		if len(found) >= o.workers || ctx.Err() != nil {
			break
		}
		pause(ctx, 20*time.Millisecond)
	}
	return found
}

// alive lists the control sockets in dir behind which a process listens.
func alive(dir string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"))
	var out []string
	for _, p := range paths {
		c, err := net.Dial("unix", p)
		if err == nil {
			c.Close()
			out = append(out, p)
		}
	}
	return out
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// guide is the text on the screen.
func guide(o options, took time.Duration, consoles []string) string {
	dig := fmt.Sprintf("dig @%s -p %d", o.addr, o.port)
	var b strings.Builder
	fmt.Fprintf(&b, "\nkresd answers on %s port %d, first answer after %.2f s. From another terminal:\n\n", o.addr, o.port, took.Seconds())
	if o.small {
		for _, one := range [][2]string{
			{"www.example.com", "\"ad\" among the flags: proven by DNSSEC"}, {"nothing.example.com AAAA", "that a name does not exist is proven, too"},
			{"www.example.org", "a zone that is not signed: no \"ad\""}, {"expired.example.com", "its signature is over: SERVFAIL, and an extended error (EDE) says why"},
			{"+cd expired.example.com", "the same unchecked, as the client wishes"},
		} {
			fmt.Fprintf(&b, "  %s %-25s # %s\n", dig, one[0], one[1])
		}
		b.WriteString("\n")
	} else {
		fmt.Fprintf(&b, "  %s www.example.com\n  %s +tcp example.com MX\n  %s nothing.example.com AAAA\n\n", dig, dig, dig)
	}
	if _, err := exec.LookPath("dig"); err != nil {
		fmt.Fprintf(&b, "  (dig is in the Debian package bind9-dnsutils)\n\n")
	}
	fmt.Fprintf(&b, "  %s %s   # a console: help(), cache.count(), map 'worker.id'\n", filepath.Join(filepath.Dir(o.kresd), "kresc"), o.rundir)
	for _, p := range consoles {
		fmt.Fprintf(&b, "  nc -U %s\n", p)
	}
	fmt.Fprintf(&b, "\nCtrl-C or kill %d ends everything.\n\n", os.Getpid())
	return b.String()
}
