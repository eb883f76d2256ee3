package systemd

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain plays the inheriting process for TestManagerSockets: sockets passed by a
// manager are a matter of descriptor numbers and of the process's own number.
func TestMain(m *testing.M) {
	if os.Getenv("SYSTEMD_TEST_CHILD") != "" {
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
		sockets, kept, err := ManagerSockets()
		for _, s := range sockets {
			fmt.Printf("%s@%d ", s.Kind, s.FD)
		}
		if kept != nil {
			text, _ := io.ReadAll(kept)
			fmt.Printf("kept@%d=%s ", kept.Fd(), text)
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

func TestManagerSockets(t *testing.T) {
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
	gram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.TempDir() + "/letters", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer gram.Close()
	letters, _ := gram.File()
	unbound, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	deaf, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	connected, _ := client.(*net.TCPConn).File()
	memory, err := os.Create(t.TempDir() + "/memory")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(memory, "text")
	memory.Seek(0, io.SeekStart)
	unboundFile, deafFile := os.NewFile(uintptr(unbound), ""), os.NewFile(uintptr(deaf), "")
	for _, c := range []struct {
		names string
		files []*os.File
		want  string
	}{
		{"dns:whatever:CONTROL:tls", []*os.File{u, s, local, s}, `dns@3 dns@4 control@5 tls@6 err=<nil> left=""`},
		{"DoH:doh2:doq", []*os.File{s, s, u}, `doh2@3 doh2@4 doq@5 err=<nil> left=""`},
		{"", []*os.File{u, s}, `dns@3 dns@4 err=<nil> left=""`},
		{"tls", []*os.File{u}, `err=inherited socket 3 cannot serve as 'tls': it is a datagram socket and this needs a stream socket; use ListenStream=, or the name 'dns' left=""`},
		{"dns:doq", []*os.File{u, s}, `err=inherited socket 4 cannot serve as 'doq': it is a stream socket and this needs a datagram socket; use ListenDatagram=, or the name 'tls' left=""`},
		{"control", []*os.File{s}, `err=inherited socket 3 cannot serve as 'control': it is no UNIX socket, and who reaches a console rules the resolver; give ListenStream= a path left=""`},
		{"dns:webmgmt", []*os.File{s, s}, `err=inherited socket 4 is named 'webmgmt': serving this kind is not in this version; name it in FileDescriptorName= by what it is to serve: dns, tls, doh2, http, doq or control left=""`},
		{"dns:configuration:configuration", []*os.File{u, s, memory}, `dns@3 dns@4 kept@5=text err=<nil> left=""`},
		{"dns:doh", []*os.File{local, local}, `dns@3 doh2@4 err=<nil> left=""`},
		{"dns", []*os.File{letters}, `err=inherited socket 3 cannot serve as 'dns': it is a UNIX socket, and only streams are served on those; use ListenStream= for a path left=""`},
		{"connection", []*os.File{connected}, `err=inherited socket 3 cannot serve as 'dns': it is connected to one client already; pass the socket that listens: Accept=no in a socket unit left=""`},
		{"dns", []*os.File{unboundFile}, `err=inherited socket 3 cannot serve as 'dns': it is bound to no port; bind it before it is passed, as ListenDatagram= of a socket unit does left=""`},
		{"tls", []*os.File{deafFile}, `err=inherited socket 3 cannot serve as 'tls': it does not listen; call listen(2) before it is passed, as ListenStream= of a socket unit does left=""`},
		{"dns", []*os.File{null}, `err=inherited socket 3 cannot serve as 'dns': it is no socket (socket operation on non-socket); pass a socket that is bound, as ListenDatagram= and ListenStream= of a socket unit make it left=""`},
	} {
		if got := inherit(t, c.names, c.files...); got != c.want {
			t.Errorf("names %q: got %s, want %s", c.names, got, c.want)
		}
	}
}

func TestOpenSocketRefusesWhatIsNoSocket(t *testing.T) {
	if _, err := OpenSocket(987, DNS); err == nil || !strings.Contains(err.Error(), "inherited socket 987: bad file descriptor") {
		t.Errorf("OpenSocket of a closed descriptor: %v", err)
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
	n.Ready("serves")
	n.Alive()
	n.Status("two\nlines")
	n.Reloading()
	n.Stopping()
	var got []string
	for range 5 {
		b := make([]byte, 100)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		k, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b[:k]))
	}
	reloading, since, _ := strings.Cut(got[3], "\n")
	var at int64
	if _, err := fmt.Sscanf(since, "MONOTONIC_USEC=%d", &at); err != nil || at <= 0 {
		t.Errorf("a reload begins with %q", got[3])
	}
	got[3] = reloading
	if want := []string{"READY=1\nSTATUS=serves", "WATCHDOG=1", "STATUS=two lines", "RELOADING=1", "STOPPING=1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("manager heard %q, want %q", got, want)
	}
}

// What is kept travels to the manager with its name, after what was kept before was dropped.
func TestNotifierKeepsAFile(t *testing.T) {
	path := t.TempDir() + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, _ := os.Open(file)
	n := NewNotifier()
	n.Keep(f)
	f.Close()
	for _, want := range []string{"FDSTOREREMOVE=1\nFDNAME=configuration", "FDSTORE=1\nFDNAME=configuration"} {
		b, rights := make([]byte, 100), make([]byte, 100)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		k, r, _, _, err := conn.ReadMsgUnix(b, rights)
		if err != nil || string(b[:k]) != want {
			t.Fatalf("the manager heard %q, %v, want %q", b[:k], err, want)
		}
		messages, _ := unix.ParseSocketControlMessage(rights[:r])
		for _, m := range messages {
			fds, err := unix.ParseUnixRights(&m)
			if err != nil || len(fds) != 1 {
				t.Fatalf("%q came with %v, %v", want, fds, err)
			}
			got, _ := io.ReadAll(os.NewFile(uintptr(fds[0]), "kept"))
			if string(got) != "text" {
				t.Errorf("the file says %q", got)
			}
		}
		if strings.HasPrefix(want, "FDSTORE=") != (len(messages) == 1) {
			t.Errorf("%q came with %d messages about descriptors", want, len(messages))
		}
	}
}

func TestNotifierWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "1000")
	for _, n := range []*Notifier{nil, NewNotifier()} {
		n.Ready("")
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
