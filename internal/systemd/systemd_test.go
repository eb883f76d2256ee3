package systemd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestMain plays the inheriting process for TestInherited: sockets passed by a
// manager are a matter of descriptor numbers and of the process's own number.
func TestMain(m *testing.M) {
	if os.Getenv("SYSTEMD_TEST_CHILD") != "" {
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
		sockets, err := Inherited()
		for _, s := range sockets {
			fmt.Printf("%s/%d ", s.Kind, s.Type)
		}
		fmt.Printf("err=%v left=%q\n", err, os.Getenv("LISTEN_FDS"))
		return
	}
	os.Exit(m.Run())
}

func inherit(t *testing.T, names string, files ...*os.File) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SYSTEMD_TEST_CHILD=1", "LISTEN_FDNAMES="+names, fmt.Sprintf("LISTEN_FDS=%d", len(files)))
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestInherited(t *testing.T) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	u, _ := udp.File()
	s, _ := tcp.File()
	null, _ := os.Open(os.DevNull)
	unixSocket, err := net.ListenUnix("unix", &net.UnixAddr{Name: t.TempDir() + "/socket", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer unixSocket.Close()
	local, _ := unixSocket.File()
	for _, c := range []struct {
		names string
		files []*os.File
		want  string
	}{
		{"dns:whatever:CONTROL:tls", []*os.File{u, s, s, s}, `dns/2 dns/1 control/1 tls/1 err=<nil> left=""`},
		{"", []*os.File{u}, `dns/2 err=<nil> left=""`},
		{"tls", []*os.File{u}, `err=inherited socket 3: a socket of this type cannot serve as 'tls' left=""`},
		{"control:control", []*os.File{s, s}, `err=2 inherited sockets are named 'control'; one is the most left=""`},
		{"dns:DoH", []*os.File{u, s}, `err=inherited socket 4 is named 'DoH': serving this kind is not in this version left=""`},
		{"webmgmt", []*os.File{s}, `err=inherited socket 3 is named 'webmgmt': serving this kind is not in this version left=""`},
		{"dns", []*os.File{local}, `err=inherited socket 3 is of address family 1: only IPv4 and IPv6 sockets can serve as 'dns' left=""`},
		{"control", []*os.File{local}, `control/1 err=<nil> left=""`},
		{"dns", []*os.File{null}, `err=inherited socket 3: socket operation on non-socket left=""`},
	} {
		if got := inherit(t, c.names, c.files...); got != c.want {
			t.Errorf("names %q: got %s, want %s", c.names, got, c.want)
		}
	}
}

func TestAdoptRefusesWhatIsNoSocket(t *testing.T) {
	if _, err := Adopt(987, DNS); err == nil || !strings.Contains(err.Error(), "inherited socket 987: bad file descriptor") {
		t.Errorf("Adopt of a closed descriptor: %v", err)
	}
}

func TestNotifier(t *testing.T) {
	path := t.TempDir() + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "10000000")
	n := NewNotifier()
	if got := n.WatchdogInterval(); got != 5*time.Second {
		t.Errorf("WatchdogInterval() = %v, want half of 10 s", got)
	}
	n.Ready()
	n.Alive()
	n.Status("two\nlines")
	n.Stopping()
	var got []string
	for range 4 {
		b := make([]byte, 100)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		k, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b[:k]))
	}
	if want := []string{"READY=1", "WATCHDOG=1", "STATUS=two lines", "STOPPING=1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("manager heard %q, want %q", got, want)
	}
}

func TestNotifierWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "1000")
	for _, n := range []*Notifier{nil, NewNotifier()} {
		n.Ready()
		if n.WatchdogInterval() != 0 {
			t.Error("a watchdog without a manager")
		}
	}
}

func TestChildEnv(t *testing.T) {
	got := ChildEnv([]string{"A=1", "NOTIFY_SOCKET=/x", "LISTEN_FDS=2", "WATCHDOG_USEC=3", "B=LISTEN_FDS"})
	if want := []string{"A=1", "B=LISTEN_FDS"}; !reflect.DeepEqual(got, want) {
		t.Errorf("ChildEnv = %q, want %q", got, want)
	}
}
