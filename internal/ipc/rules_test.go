package ipc

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"kresd/internal/limits"
)

// Each request has a ticket of its own, so that the answer to one that was given up is nobody
// else's; so many may wait, and those that were answered or given up make room.
func TestEachRequestHasItsOwnAnswer(t *testing.T) {
	r := &requests{awaiting: map[int]chan int{}}
	seen := map[int]bool{}
	var tickets []int
	var answers []chan int
	for range limits.RequestsAsked {
		answer, ticket := r.await()
		if answer == nil || seen[ticket] {
			t.Fatalf("request %d: ticket %d, refused %v", len(tickets), ticket, answer == nil)
		}
		seen[ticket] = true
		tickets, answers = append(tickets, ticket), append(answers, answer)
	}
	if answer, _ := r.await(); answer != nil {
		t.Fatal("one request too many is taken")
	}
	r.giveUp(tickets[0])
	r.answered(Message{Ticket: tickets[0], Number: 9}) // comes late
	again, ticket := r.await()
	if again == nil || seen[ticket] {
		t.Fatalf("in the place of one that was given up: ticket %d, refused %v", ticket, again == nil)
	}
	for i := 1; i < len(tickets); i++ {
		r.answered(Message{Ticket: tickets[i], Number: i})
		r.answered(Message{Ticket: tickets[i], Number: -1}) // twice
		if got := <-answers[i]; got != i {
			t.Errorf("request %d is answered by %d", i, got)
		}
	}
	if len(answers[0])+len(again) != 0 || len(r.awaiting) != 1 {
		t.Errorf("an answer came to somebody else; %d are awaited", len(r.awaiting))
	}
}

// A request whose time is over is forgotten.
func TestARequestThatIsGivenUpIsForgotten(t *testing.T) {
	_, link := linked(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range limits.RequestsAsked + 2 {
		if _, err := link.Reload(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
}

// Descriptors that come with what is no message are closed: nobody else knows of them.
func TestDescriptorsOfWhatIsNoMessageAreClosed(t *testing.T) {
	for what, text := range map[string]string{"no JSON": "x", "no kind": "{}", "a number that is none": `{"kind":"ready","pid":"x"}`} {
		c, file, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		other, err := fromFile(file)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		in, _ := pipes(t, 1)
		before := copies(t, in[0])
		if err := WriteFrame(&passing{c: other.c, fds: in}, []byte(text), limits.IPCFrame); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Receive(); err == nil {
			t.Errorf("%s was received", what)
		}
		if n := copies(t, in[0]); n != before {
			t.Errorf("%s: %d copies, %d before", what, n, before)
		}
	}
}

// The end of a process ends its link, also where it has not read everything.
func TestAProcessThatEndsWithoutReadingHasEnded(t *testing.T) {
	c, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(Message{Kind: Drain}); err != nil {
		t.Fatal(err)
	}
	file.Close()
	if _, err := c.Receive(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}

// Only a socket can be a link.
func TestAFileIsNoLink(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := fromFile(r); err == nil {
		t.Error("a pipe is taken for a link")
	}
	if _, err := r.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the pipe is not closed: %v", err)
	}
}
