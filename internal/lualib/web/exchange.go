package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/safe"
	"kresd/internal/script"
)

// An exchange is a request and its answer. It ends when it is closed, when no script can
// name it any more, or when it has taken its time.
type exchange struct {
	ctx      context.Context
	cancel   context.CancelFunc
	body     *io.PipeWriter // nil: the request has none
	answered chan struct{}
	outcome  *outcome // to be read once answered
	received int64
}

// An outcome is an answer, or why there is none.
type outcome struct {
	response *http.Response
	err      error
}

// newExchange sends a request with the settings that a script gave.
func newExchange(t *luavalue.Table) (*exchange, error) {
	s, err := read(t)
	if err != nil {
		return nil, err
	}
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	e := &exchange{answered: make(chan struct{}), outcome: &outcome{}}
	e.ctx, e.cancel = context.WithTimeout(context.Background(), limits.LuaDownloadTime)
	var body io.ReadCloser
	if s.hasBody {
		body, e.body = io.Pipe()
	}
	request, err := s.request(e.ctx, body)
	if err != nil {
		e.cancel()
		return nil, err
	}
	// The goroutine does not know the exchange, or nobody would see that scripts have
	// forgotten it.
	answered, result := e.answered, e.outcome
	runtime.AddCleanup(e, func(cancel context.CancelFunc) { cancel() }, e.cancel)
	var group *safe.Group
	group.Go("request of a script", func() {
		defer close(answered)
		result.err = errors.New("internal error in the request")
		result.response, result.err = client.Do(request)
	})
	return e, nil
}

// classOf makes the class of exchanges of a machine's library.
func classOf() *script.Class {
	class := &script.Class{Name: "exchange"}
	on := func(fn func(c *script.Call, e *exchange) error) func(c *script.Call) error {
		return func(c *script.Call) error {
			e, _ := c.Handle(1, class).(*exchange)
			return fn(c, e)
		}
	}
	class.Methods = []script.Func{
		{Name: "send", Args: "chunk", Min: 2, Max: 2, Fn: on(send)},
		{Name: "answer", Min: 1, Max: 1, Fn: on(answer)},
		{Name: "receive", Min: 1, Max: 1, Fn: on(receive)},
		{Name: "close", Min: 1, Max: 1, Fn: on(func(_ *script.Call, e *exchange) error { e.cancel(); return nil })},
	}
	return class
}

// refused returns nil and why something failed, or ends the evaluation.
func refused(c *script.Call, err error) error {
	var i *script.Interrupt
	if errors.As(err, &i) {
		return err
	}
	return c.Return(nil, reason(err))
}

// send sends a part of the request's body; nil ends it. A server that answers early gets
// no more of it.
func send(c *script.Call, e *exchange) error {
	if c.IsNil(2) {
		_ = e.body.Close() // always nil
		return c.Return(1)
	}
	text := c.String(2)
	_, err := script.Interruptible(c, e.cancel, func() (int, error) {
		n, err := io.WriteString(e.body, text)
		if err != nil {
			<-e.answered
			err = e.outcome.err
		}
		return n, err
	})
	if err != nil {
		return refused(c, err)
	}
	return c.Return(1)
}

// answer returns code, headers and status line of the answer.
func answer(c *script.Call, e *exchange) error {
	response, err := script.Interruptible(c, e.cancel, func() (*http.Response, error) {
		<-e.answered
		return e.outcome.response, e.outcome.err
	})
	if err != nil {
		return refused(c, err)
	}
	headers := &luavalue.Table{}
	for name, values := range response.Header {
		headers.Add(strings.ToLower(name), strings.Join(values, ", "))
	}
	if len(response.TransferEncoding) > 0 {
		headers.Add("transfer-encoding", strings.Join(response.TransferEncoding, ", "))
	}
	return c.Return(response.StatusCode, headers, response.Proto+" "+response.Status)
}

// receiveOctets is how much of a body a script gets at once.
const receiveOctets = 32 << 10

// receive returns the next part of the answer's body, nil at its end.
func receive(c *script.Call, e *exchange) error {
	text, err := script.Interruptible(c, e.cancel, func() (string, error) {
		b := make([]byte, receiveOctets)
		n, err := io.ReadAtLeast(e.outcome.response.Body, b, 1)
		if n > 0 {
			err = nil
		}
		return string(b[:n]), err
	})
	switch e.received += int64(len(text)); {
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return c.Return(nil)
	case err != nil:
		return refused(c, err)
	case e.received > limits.LuaDownload:
		return c.Return(nil, "the answer is too large")
	}
	return c.Return(text)
}
