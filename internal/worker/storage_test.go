package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/lmdbcache"
	"kresd/internal/wording"
)

func TestCacheErrorsNameTheDirectoryOnce(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func(string) error{
		"file":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"link":     func(path string) error { return os.Symlink(dir, path) },
		"everyone": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(dir, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if name == "everyone" {
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		_, err := lmdbcache.Open(path, lmdbcache.Options{})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error with the path", name, err)
		} else if text := wording.Reason(err).Error(); strings.Contains(text, dir) || text == "" {
			t.Errorf("%s: %q names the directory again", name, text)
		}
	}
}
