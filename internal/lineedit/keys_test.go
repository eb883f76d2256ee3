package lineedit

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"kresd/internal/safe"
)

// patience is how long a test waits for what comes at once.
const patience = 20 * time.Second

// typing is a pipe on which keys are typed, and the keys that come out.
func typing(t *testing.T) (*keys, func(string)) {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); w.Close() })
	k := readKeys(ctx, &safe.Group{}, r)
	return k, func(text string) {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
}

// waitTyped waits until n octets that were typed lie there.
func waitTyped(t *testing.T, k *keys, n int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		have := len(k.typed)
		k.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d octets lie there, want %d", have, n)
		}
	}
}

// What is typed behind the end of a line is not read with it, since it may be Ctrl-C for
// the command in that line.
func TestKeysComeLineByLine(t *testing.T) {
	k, typed := typing(t)
	typed("one\rtwo\r\nthr\nee\x03rest")
	waitTyped(t, k, 20)
	var got []string
	for range 5 {
		b := make([]byte, 100)
		n, err := k.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b[:n]))
	}
	if want := []string{"one\r", "two\r\n", "thr\n", "ee\x03", "rest"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

// Ctrl-C ends the command that runs, be it typed before the command began, and drops
// what was typed for after it.
func TestCtrlCEndsACommand(t *testing.T) {
	for _, before := range []bool{true, false} {
		k, typed := typing(t)
		if before {
			typed("ahead\x03kept")
			waitTyped(t, k, 10)
		}
		interrupted := make(chan struct{}, 1)
		k.during(func() { interrupted <- struct{}{} }, func() {
			if !before {
				typed("ahead\x03kept")
			}
			select {
			case <-interrupted:
			case <-time.After(patience):
				t.Error("Ctrl-C does not end the command")
			}
		})
		waitTyped(t, k, 4)
	}
	k, typed := typing(t)
	k.during(func() { t.Error("without Ctrl-C the command is ended") }, func() { typed("ahead\r"); waitTyped(t, k, 6) })
	typed("\x03") // for the line
	waitTyped(t, k, 7)
}

func TestKeysEndWithTheirContext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	k := readKeys(ctx, &safe.Group{}, r)
	cancel()
	if n, err := k.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v; want the end", n, err)
	}
}
