package worker

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kresd/internal/script"
)

// wholeWorker is a worker with all modules that can be loaded.
func wholeWorker(t *testing.T) *Worker {
	t.Helper()
	w := laboratory(t)
	for _, name := range w.chain.Known() {
		if !slices.Contains(w.chain.Names(), name) {
			if out, failed := w.vm.Eval(context.Background(), "modules.load('"+name+"')"); failed {
				t.Fatal(out)
			}
		}
	}
	return w
}

// unlisted are tables whose members are data, and not names of ours.
var unlisted = []string{"_G", "_VERSION", "env"}

// names are the globals of a worker and the members of those.
func names(w *Worker) (list []string) {
	for _, global := range w.vm.Members(context.Background(), "") {
		list = append(list, global)
		if slices.Contains(unlisted, global) {
			continue
		}
		for _, member := range w.vm.Members(context.Background(), global) {
			list = append(list, global+"."+member)
		}
	}
	if err := w.vm.Do(context.Background(), func(*script.Call) error {
		list = append(list, w.vm.Methods()...)
		return nil
	}); err != nil {
		panic(err)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// What help() says of a name is written once.
func TestWordsStandOnceInTheReference(t *testing.T) {
	w := wholeWorker(t)
	if err := w.vm.Do(context.Background(), func(*script.Call) error {
		for _, name := range w.vm.SaidTwice() {
			t.Errorf("%s is explained where it is bound and in package reference: leave it to the reference", name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Methods are looked up by the class, and by what scripts mostly call its values.
func TestHelpTellsOfMethods(t *testing.T) {
	w := laboratory(t)
	for name, want := range map[string]string{
		"pkt:rcode":    "packet:rcode([value])\n    the RCODE of the header, 0 to 15",
		"request:push": "request:push(name, type, class[, flags[, parent]])\n    resolve another question first",
		"rr:nosuch":    "no help for 'rr:nosuch'",
		"req":          "\nrequest:vars()                a table that lasts as long as the request\n",
	} {
		if out, _ := w.vm.Eval(context.Background(), "help('"+name+"')"); !strings.Contains(out, want) {
			t.Errorf("help('%s') shows %q, want %q", name, out, want)
		}
	}
}

// usageIn is how a worker says that a name is written.
func usageIn(t *testing.T, w *Worker) func(name string) string {
	return func(name string) (usage string) {
		if err := w.vm.Do(context.Background(), func(c *script.Call) error {
			usage = w.vm.Usage(name)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return usage
	}
}

// What scripts can write is told in package reference, and nothing else is.
func TestTheReferenceIsAboutWhatIsThere(t *testing.T) {
	w := wholeWorker(t)
	there, book, usage := names(w), w.vm.Book(), usageIn(t, w)
	for _, name := range there {
		if book.Find(name) == nil {
			t.Errorf("nobody can look up %s: package reference needs an entry {Name: %q, …} in the file of its chapter; then run 'make docs'", usage(name), name)
		}
	}
	for _, chapter := range book.Chapters {
		for i := range chapter.Entries {
			e := &chapter.Entries[i]
			if !slices.Contains(there, e.Name) {
				t.Errorf("package reference has an entry for %s, which no worker has", e.Name)
			}
			if lacks := e.Lacks(usage(e.Name)); lacks != "" && !chapter.Brief {
				t.Errorf("the entry of %s in package reference needs %s", e.Name, lacks)
			} else if chapter.Brief && e.Summary == "" {
				t.Errorf("the entry of %s in package reference needs a summary", e.Name)
			}
		}
	}
}

// The examples of the reference compile, and work where they can be tried here.
func TestExamplesOfTheReference(t *testing.T) {
	w := wholeWorker(t)
	t.Chdir(t.TempDir()) // where the cache is opened
	for _, chapter := range w.vm.Book().Chapters {
		for _, e := range chapter.Entries {
			switch {
			case e.Example == "":
			case e.Apart == "":
				if out, failed := w.vm.Eval(context.Background(), e.Example); failed {
					t.Errorf("the example of %s, %s: %s", e.Name, e.Example, out)
				}
			default:
				if chunk, rest, wait := w.vm.Split(e.Example); wait || rest != "" {
					t.Errorf("the example of %s, %s: it compiles as far as %q", e.Name, e.Example, chunk)
				} else if out, failed := w.vm.Eval(context.Background(), "assert(loadstring([==[return "+e.Example+"]==]) or loadstring([==["+e.Example+"]==]))"); failed {
					t.Errorf("the example of %s, %s: %s", e.Name, e.Example, out)
				}
			}
		}
	}
}

// Words that are offered in quotes come from vocabularies that there are.
func TestVocabulariesOfTheReference(t *testing.T) {
	w := wholeWorker(t)
	for _, c := range []struct{ text, among string }{
		{"mode('st", "strict"}, {"option('NO_MIN", "NO_MINIMIZE"}, {"resolve('example.com', 'AAA", "AAAA"}, {"modules.load('serve_", "serve_stale"},
		{"modules.unload('hin", "hints"}, {"log_groups({ 'system', 'ca", "cache"}, {"log_level('deb", "debug"}, {"log_target 'sys", "syslog"},
		{"policy.FLAGS({'NO_CACHE', 'NO_IP", "NO_IPV4 NO_IPV6"}, {"policy.deny", "policy.DENY policy.DENY_MSG"}, {"kres.type.AAA", "kres.type.AAAA"},
		{"serve_stale.t", "serve_stale.timeout"}, {"net.bufs", "net.bufsize"},
	} {
		got := strings.Join(w.vm.NewSession().Complete(context.Background(), c.text), " ")
		if got != c.among {
			t.Errorf("%s becomes %q, want %q", c.text, got, c.among)
		}
	}
	for _, chapter := range w.vm.Book().Chapters {
		for _, e := range chapter.Entries {
			for i, vocabulary := range e.Offers {
				text := e.Name + "(" + strings.Repeat("nil, ", i) + "'"
				if vocabulary != "" && len(w.vm.NewSession().Complete(context.Background(), text)) == 0 {
					t.Errorf("%s: there are no words of the vocabulary %q", e.Name, vocabulary)
				}
			}
		}
	}
}

// With this flag the test below writes the documents ('make docs').
var writeDocs = flag.Bool("docs", false, "write the documents that are made from package reference")

const (
	manualFile, pageFile = "../../docs/manual.md", "../../docs/kresd.conf.5"
	chapterBegin         = "<!-- The rest is written by 'make docs' from package reference. -->\n"
)

// The manual's reference chapter and the manual page say what the program says.
func TestDocumentsAreMadeFromTheReference(t *testing.T) {
	w := wholeWorker(t)
	usage := usageIn(t, w)
	manual, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(manual), chapterBegin)
	if !found {
		t.Fatalf("%s has no line %q", manualFile, chapterBegin)
	}
	for file, want := range map[string]string{
		manualFile: before + chapterBegin + "\n" + strings.TrimRight(w.vm.Book().Markdown(usage), "\n") + "\n",
		pageFile:   w.vm.Book().Mdoc(usage),
	} {
		if *writeDocs {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s is not what package reference says (%v): run 'make docs'", file, err)
		}
	}
}

// The manual page is well-formed.
func TestTheManualPageIsWellFormed(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("not run: mandoc is not installed, see scripts/testdeps.sh")
	}
	if out, err := exec.Command(mandoc, "-T", "lint", pageFile).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v\n%s", err, out)
	}
}
