package test

import (
	"encoding/json"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// imageLimit is how large the image may be, in octets.
const imageLimit = 40_000_000

// recipe is what the last stage of the Containerfile says: by instruction its argument.
func recipe(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(proctest.Root(t), "packaging", "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, last, found := strings.Cut(string(text), "\nFROM scratch\n")
	if !found || !strings.Contains(string(text), "\nRUN make lua-vm && sh scripts/image.sh /image\n") || !strings.Contains(last, "COPY --from=build /image/ /\n") {
		t.Fatal("the recipe does not take what scripts/image.sh makes")
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z]+) (.*)$`).FindAllStringSubmatch(last, -1) {
		said[m[1]] = m[2]
	}
	return said
}

// words are those of an instruction in the form of a JSON array.
func words(t *testing.T, argument string) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(argument[strings.Index(argument, "["):]), &list); err != nil {
		t.Fatalf("%s: %v", argument, err)
	}
	return list
}

// The image works as its recipe says, without an engine: its file system in a chroot, as
// its user, with its command, its check of health and its signal.
func TestImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root (scripts/notrun.sh)")
	}
	if !proctest.InNamespace(t) {
		return
	}
	said := recipe(t)
	image := proctest.RunDir(t)
	proctest.Run(t, "sh", filepath.Join(proctest.Root(t), "scripts", "image.sh"), image)
	if err := os.Chmod(image, 0o755); err != nil {
		t.Fatal(err)
	}
	var size int64
	err := filepath.WalkDir(image, func(_ string, d fs.DirEntry, err error) error {
		if info, bad := d.Info(); err == nil && bad == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil || size > imageLimit {
		t.Errorf("the image has %d octets, at most %d are wanted (%v)", size, imageLimit, err)
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(said["USER"]) {
		t.Errorf("the user is %q, and not a number of nobody else", said["USER"])
	}
	// As engines have it inside of containers.
	if err := os.Mkdir(image+"/proc", 0o755); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, "mount", "-t", "proc", "proc", image+"/proc")
	t.Cleanup(func() { _ = exec.Command("umount", image+"/proc").Run() })
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}
	chroot := []string{"chroot", "--userspec=" + said["USER"], image}
	line := append(words(t, said["ENTRYPOINT"]), words(t, said["CMD"])...)
	g := proctest.Exec(t, proctest.Config{Under: chroot, Addr: netip.MustParseAddrPort("127.0.0.1:53")}, line)
	proctest.Eventually(t, 30*time.Second, "localhost is answered", func() bool { return answersAt53("localhost", "127.0.0.1") })
	health := append(chroot, words(t, said["HEALTHCHECK"])...)
	if out, err := exec.Command(health[0], health[1:]...).CombinedOutput(); err != nil {
		t.Errorf("a healthy container is told to be ill: %v\n%s", err, out)
	}
	if said["STOPSIGNAL"] != "SIGTERM" {
		t.Errorf("it is stopped by %s", said["STOPSIGNAL"])
	}
	if status, err := g.Stop(); status != 0 || err != nil {
		t.Errorf("status %d, %v; log:\n%s", status, err, g.Log())
	}
	if out, err := exec.Command(health[0], health[1:]...).CombinedOutput(); err == nil {
		t.Errorf("a container without a process is told to be healthy: %s", out)
	}
}
