package worker

import (
	"context"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// What is shown of the configuration in force has no pins, no files of certificates and
// keys, and no paths of URLs that somebody has chosen.
func TestTheConfigurationInForceShowsNothingSecret(t *testing.T) {
	w := wholeWorker(t)
	ca := proctest.NewCertificateAuthority(t)
	cert := ca.Issue(t, time.Now().Add(time.Hour), "dns.test")
	inForce := func() (text string, net map[string]any) {
		t.Helper()
		text, wrong := w.vm.NewSession().EvalJSON(context.Background(), configCommand(), io.Discard)
		var v struct{ Net map[string]any }
		if err := json.Unmarshal([]byte(text), &v); wrong || err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return text, v.Net
	}
	for paths, want := range map[string]string{"{ '/dns-query', '/doh' }": "the usual ones", "{ '/dns-query', '/0123-mine' }": "2 of its own"} {
		if out, failed := w.vm.Eval(context.Background(), "net.doh_paths("+paths+")"); failed {
			t.Fatal(out)
		}
		if _, net := inForce(); net["doh_paths"] != want {
			t.Errorf("net.doh_paths(%s) is shown as %v, want %q", paths, net["doh_paths"], want)
		}
	}
	for _, lua := range []string{
		"net.tls('" + cert.CertFile + "', '" + cert.KeyFile + "')",
		"net.tls_client('192.0.2.1', { '" + cert.Pin + "' })",
		"net.tls_client({ '192.0.2.2', hostname = 'dns.test', ca_file = '" + ca.File + "' })",
		"net.tls_client({ '192.0.2.3', insecure = true })",
	} {
		if out, failed := w.vm.Eval(context.Background(), lua); failed {
			t.Fatalf("%s: %s", lua, out)
		}
	}
	text, net := inForce()
	for _, secret := range []string{"0123-mine", cert.Pin, ca.File, cert.CertFile, cert.KeyFile} {
		quoted, _ := json.Marshal(secret)
		if strings.Contains(text, strings.Trim(string(quoted), `"`)) || strings.Contains(text, secret) {
			t.Errorf("%q is shown: %s", secret, text)
		}
	}
	tls, _ := net["tls"].(map[string]any)
	if end, _ := tls["not_after"].(string); end == "" || len(tls) != 1 {
		t.Errorf("net.tls is shown as %v", net["tls"])
	}
	servers, _ := net["tls_client"].(map[string]any)
	for at, want := range map[string]map[string]any{
		"192.0.2.1@853": {"pin_sha256": 1.0}, "192.0.2.2@853": {"hostname": []any{"dns.test"}, "ca_file": 1.0}, "192.0.2.3@853": {"insecure": true},
	} {
		got, _ := servers[at].(map[string]any)
		delete(got, "1") // its address once more
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is shown as %v, want %v", at, servers[at], want)
		}
	}
}
