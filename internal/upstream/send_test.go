package upstream

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every send is debited because every send is in one function: no other one
// writes to a socket (HARDENING B5).
func TestOnlySendWrites(t *testing.T) {
	writers := []string{
		"write", "Write", "WriteTo", "WriteString", "WriteMsgUDP", "WriteMsgUDPAddrPort", "WriteToUDP", "WriteToUDPAddrPort", "ReadFrom",
		"Sendto", "Sendmsg", "SendmsgN", "Sendfile", "Copy", "CopyN", "Fprint", "Fprintf", "Fprintln", "NewWriter", "WriteBuffers", "Writev", "Pwrite", "RoundTrip",
		"SYS_WRITE", "SYS_WRITEV", "SYS_SENDTO", "SYS_SENDMSG", "SYS_SENDMMSG", "SYS_SENDFILE", "SYS_PWRITE64", "SYS_PWRITEV",
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			where := file
			if fn, ok := d.(*ast.FuncDecl); ok {
				where += " " + fn.Name.Name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(writers, s.Sel.Name) {
					found[where]++
				}
				return true
			})
		}
	}
	if len(found) != 3 || found["send.go send"] != 2 || found["send.go write"] != 1 || found["https.go ask"] != 1 {
		t.Errorf("sockets are written to in %v, want send.go's send, twice, and the writes that it calls", found)
	}
}
