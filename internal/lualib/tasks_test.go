package lualib

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kresd/internal/script"
)

// Coroutines of a controller wait for servers at the same time, also beyond the command
// that began them.
func TestCoroutinesRequestAtTheSameTime(t *testing.T) {
	both := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		both <- struct{}{}
		for len(both) < 2 && r.Context().Err() == nil { // nobody is answered before the other has asked
			time.Sleep(time.Millisecond)
		}
		fmt.Fprint(w, "answer to ", r.URL.Path)
	}))
	defer server.Close()
	vm, _ := machine(t, script.Options{})
	eval := func(command string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		text, _ := vm.Eval(ctx, command)
		return text
	}
	eval(`got, cq = {}, require('cqueues').new()
		for i = 1, 2 do cq:wrap(function() local body, why = require('socket.http').request('` + server.URL + `/' .. i) got[i] = body or why end) end
		cq:step(0)`)
	if got := eval("cq:loop() return table.concat(got, ', ')"); got != "answer to /1, answer to /2" {
		t.Errorf("they got %q", got)
	}
}
