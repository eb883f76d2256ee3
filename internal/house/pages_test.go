package house

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A page that sends its reader to a file of a package sends him to one that there is.
func TestFilesThatPagesNameExist(t *testing.T) {
	const root = "../.."
	named := regexp.MustCompile("`([a-z]+(?:/[a-z_]+)*/[a-z0-9_]+\\.go)`")
	for _, page := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllSubmatch(text, -1) {
			path := string(m[1])
			_, inPackage := os.Stat(filepath.Join(root, "internal", path))
			_, inTree := os.Stat(filepath.Join(root, path))
			if inPackage != nil && inTree != nil {
				t.Errorf("%s names %s, which is not there", page, path)
			}
		}
	}
	if text, _ := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md")); len(named.FindAll(text, -1)) < 20 {
		t.Error("hardly a file was found in ARCHITECTURE.md: has its way of naming files changed?")
	}
}
