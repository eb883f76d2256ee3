package h2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"kresd/internal/limits"
)

// A client is the other side of a Conn.
type client struct {
	t     testing.TB
	c     *Conn
	ended []uint32
	said  *hpack.Decoder // what our side words is one sequence
	heads []string       // of responses, as far as they were read
}

// newClient is one whose settings have come.
func newClient(t testing.TB) *client {
	k := &client{t: t, c: New()}
	k.c.Ended = func(s *Stream) {
		if s.Owner == nil {
			t.Errorf("stream %d has ended of which no Head has told", s.id)
		}
		k.ended = append(k.ended, s.id)
	}
	k.said = hpack.NewDecoder(tableSize, func(f hpack.HeaderField) {
		k.heads = append(k.heads, f.Name+": "+f.Value)
	})
	if evs, out, err := k.send(appendFrame(nil, frameSettings, 0, 0, nil)); len(evs) > 0 || err != nil || k.words(out) != "SETTINGS+1 0:" {
		t.Fatalf("settings came to %v, %q, %v", evs, k.words(out), err)
	}
	return k
}

// send has frames read, and tells what came of them.
func (k *client) send(frames ...[]byte) (evs []Event, out []byte, err error) {
	in := slices.Concat(frames...)
	for {
		ev, used, more, err := k.c.Next(in, out)
		in, out = in[used:], more
		if err != nil || ev.Kind == Nothing {
			return evs, out, err
		}
		if ev.Kind == Head {
			ev.Stream.Owner = k
		}
		evs = append(evs, ev)
	}
}

// words tells frames: name+flags stream:payload. Heads are decoded into heads.
func (k *client) words(out []byte) string {
	names := map[byte]string{frameData: "DATA", frameHeaders: "HEADERS", frameReset: "RST", frameSettings: "SETTINGS", framePing: "PING", frameGoAway: "GOAWAY", frameWindowUpdate: "WINDOW"}
	var list []string
	for len(out) > 0 {
		f, n, err := nextFrame(out)
		if err != nil || n == 0 || names[f.kind] == "" {
			k.t.Fatalf("we said %x", out)
		}
		out = out[n:]
		payload := string(f.payload)
		switch f.kind {
		case frameHeaders:
			if _, err := k.said.Write(f.payload); err != nil {
				k.t.Fatal(err)
			}
			payload = ""
		case frameReset, frameWindowUpdate:
			payload = fmt.Sprint(binary.BigEndian.Uint32(f.payload))
		case frameGoAway:
			payload = fmt.Sprint(binary.BigEndian.Uint32(f.payload), " ", binary.BigEndian.Uint32(f.payload[4:]))
		}
		list = append(list, fmt.Sprintf("%s+%d %d:%s", names[f.kind], f.flags, f.stream, payload))
	}
	return strings.Join(list, ", ")
}

// fields are of HPACK, name and value by turns, without a table.
func fields(pairs ...string) (b []byte) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	e.SetMaxDynamicTableSizeLimit(0)
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return buf.Bytes()
}

func get(more ...string) []byte {
	return fields(append([]string{":method", "GET", ":scheme", "https", ":path", "/a?b", ":authority", "x"}, more...)...)
}

const whole = flagEndStream | flagEndHeaders

func headers(flags byte, stream uint32, block []byte) []byte {
	return appendFrame(nil, frameHeaders, flags, stream, block)
}

func data(flags byte, stream uint32, payload string) []byte {
	return appendFrame(nil, frameData, flags, stream, []byte(payload))
}

func TestARequestAndItsResponse(t *testing.T) {
	k := newClient(t)
	k.c.KeepFields = true
	evs, out, err := k.send(headers(whole, 1, get("user-agent", "me", "content-type", "text/x", "x-two", "1", "x-two", "2")))
	if len(evs) != 1 || evs[0].Kind != Head || !evs[0].End || len(out) > 0 || err != nil || k.c.Open() != 1 {
		t.Fatalf("%+v, %q, %v", evs, out, err)
	}
	s := evs[0].Stream
	want := Request{Method: "GET", Scheme: "https", Authority: "x", Path: "/a?b", ContentType: "text/x", Length: -1, Fields: []Field{{"user-agent", "me"}, {"content-type", "text/x"}, {"x-two", "1"}, {"x-two", "2"}}}
	if got := fmt.Sprint(s.Request); got != fmt.Sprint(want) {
		t.Errorf("the request is %s, want %v", got, want)
	}
	for range 2 { // the second is too late
		out = k.c.Respond(out, s, 200, []Field{{"content-type", "a/b"}, {"content-length", "5"}}, []byte("hello"))
	}
	if got := k.words(out); got != "HEADERS+4 1:, DATA+1 1:hello" || fmt.Sprint(k.heads) != "[:status: 200 content-type: a/b content-length: 5]" {
		t.Errorf("%s %v", got, k.heads)
	}
	if !s.Closed() || s.Waits() || k.c.Open() != 0 || !slices.Equal(k.ended, []uint32{1}) {
		t.Errorf("the stream has not ended: %+v, %v", s, k.ended)
	}
}

func TestABodyInParts(t *testing.T) {
	k := newClient(t)
	evs, out, err := k.send(headers(flagEndHeaders, 3, get("content-length", "4", "expect", "100-Continue")), data(0, 3, "ab"), data(flagPadded, 3, "\x02c??"), data(flagEndStream, 3, "d"))
	var body string
	for _, ev := range evs {
		body += fmt.Sprintf("%d %v %s,", ev.Kind, ev.End, ev.Data)
	}
	if body != "1 false ,2 false ab,2 false c,2 true d," || len(out) > 0 || err != nil || !evs[0].Stream.Continue {
		t.Fatalf("%s %q, %v", body, out, err)
	}
	if got := k.words(k.c.Respond(k.c.Continue(nil, evs[0].Stream), evs[0].Stream, 404, nil, nil)); got != "HEADERS+4 3:, HEADERS+5 3:" || fmt.Sprint(k.heads) != "[:status: 100 :status: 404]" {
		t.Errorf("%s %v", got, k.heads)
	}
}

// A head may come in pieces, padded, with a priority, and trailers behind the body.
func TestHeadsInPieces(t *testing.T) {
	k := newClient(t)
	block := get()
	first := append([]byte{3, 0, 0, 0, 9, 1}, block[:5]...)
	evs, out, err := k.send(headers(flagPadded|flagPriority, 1, append(first, 0, 0, 0)), appendFrame(nil, frameContinuation, 0, 1, block[5:9]))
	if len(evs) > 0 || len(out) > 0 || err != nil || !k.c.InHead() {
		t.Fatalf("%+v, %q, %v", evs, out, err)
	}
	evs, out, err = k.send(appendFrame(nil, frameContinuation, flagEndHeaders, 1, block[9:]), data(0, 1, "x"), headers(whole, 1, fields("x-end", "y")))
	if len(evs) != 3 || evs[0].Kind != Head || evs[0].Stream.Path != "/a?b" || evs[0].End || !evs[2].End || len(out) > 0 || err != nil || k.c.InHead() {
		t.Fatalf("%+v, %q, %v", evs, out, err)
	}
}

// What breaks a rule of the connection ends it (RFC 9113, section 5.4.1).
func TestViolationsEndAConnection(t *testing.T) {
	word := func(kind byte, stream uint32, n int) []byte {
		return appendFrame(nil, kind, 0, stream, make([]byte, n))
	}
	setting := func(id, value uint32) []byte {
		return appendFrame(nil, frameSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, byte(id)}, value))
	}
	for name, c := range map[string]struct {
		sent []byte
		code Code
	}{
		"a frame that is too long":           {appendHead(nil, frameData, 0, 1, maxFrame+1), FrameSizeError},
		"a body without a head":              {data(0, 1, "x"), ProtocolError},
		"a body of the connection":           {data(0, 0, "x"), ProtocolError},
		"a stream of the server's":           {headers(whole, 2, get()), ProtocolError},
		"a head of the connection":           {headers(whole, 0, get()), ProtocolError},
		"a smaller stream":                   {append(headers(whole, 5, get()), headers(whole, 3, get())...), StreamClosed},
		"padding beyond the length":          {headers(whole|flagPadded, 1, []byte{9, 1}), ProtocolError},
		"no room for a priority":             {headers(whole|flagPriority, 1, []byte{9, 1}), FrameSizeError},
		"a continuation of nothing":          {appendFrame(nil, frameContinuation, flagEndHeaders, 1, get()), ProtocolError},
		"a PING within a head":               {append(headers(flagEndStream, 1, get()), word(framePing, 0, 8)...), ProtocolError},
		"a continuation on another stream":   {append(headers(flagEndStream, 1, get()), appendFrame(nil, frameContinuation, 0, 3, nil)...), ProtocolError},
		"a head that is no HPACK":            {headers(whole, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff}), CompressionError},
		"a head that is cut":                 {headers(whole, 1, []byte{0x40, 9, 'x'}), CompressionError},
		"a head without end":                 {append(headers(flagEndStream, 1, bytes.Repeat([]byte{0x82}, maxFrame)), appendFrame(nil, frameContinuation, 0, 1, []byte{0x82})...), EnhanceYourCalm},
		"a reset of nothing":                 {word(frameReset, 1, 4), ProtocolError},
		"a reset without a code":             {append(headers(whole, 1, get()), word(frameReset, 1, 3)...), FrameSizeError},
		"a window of nothing":                {appendWord(nil, frameWindowUpdate, 1, 1), ProtocolError},
		"no more room for the connection":    {appendWord(nil, frameWindowUpdate, 0, 0), ProtocolError},
		"too much room for the connection":   {appendWord(nil, frameWindowUpdate, 0, maxWindow), FlowControlError},
		"a window without a size":            {word(frameWindowUpdate, 0, 3), FrameSizeError},
		"a push":                             {word(framePushPromise, 1, 4), ProtocolError},
		"a PING on a stream":                 {word(framePing, 1, 8), ProtocolError},
		"a short PING":                       {word(framePing, 0, 7), FrameSizeError},
		"a GOAWAY on a stream":               {word(frameGoAway, 1, 8), ProtocolError},
		"a priority of the connection":       {word(framePriority, 0, 5), ProtocolError},
		"a short priority":                   {word(framePriority, 1, 4), FrameSizeError},
		"settings on a stream":               {word(frameSettings, 1, 6), ProtocolError},
		"settings cut off":                   {word(frameSettings, 0, 5), FrameSizeError},
		"an answer to settings that sets":    {appendFrame(nil, frameSettings, flagAck, 0, make([]byte, 6)), FrameSizeError},
		"a window beyond all":                {setting(settingWindow, 1<<31), FlowControlError},
		"frames that are too short":          {setting(settingFrame, maxFrame-1), ProtocolError},
		"half a push":                        {setting(settingPush, 2), ProtocolError},
		"settings that make windows overrun": {slices.Concat(headers(whole, 1, get()), appendWord(nil, frameWindowUpdate, 1, maxWindow-firstWindow), setting(settingWindow, firstWindow+1)), FlowControlError},
	} {
		k := newClient(t)
		_, out, err := k.send(c.sent)
		var violation *Error
		if !errors.As(err, &violation) || violation.Code != c.code || !strings.HasSuffix(k.words(out), fmt.Sprintf("GOAWAY+0 0:%d %d", k.c.newest, c.code)) {
			t.Errorf("%s: %v, said %s; want code %d", name, err, k.words(out), c.code)
		}
	}
	k := &client{t: t, c: New()}
	if _, _, err := k.send(headers(whole, 1, get())); err == nil {
		t.Error("a client that begins without settings is served")
	}
}

// What breaks a rule of one stream ends that stream alone (section 5.4.2).
func TestViolationsEndAStream(t *testing.T) {
	begun := headers(flagEndHeaders, 1, get())
	for name, c := range map[string]struct {
		sent []byte
		code Code
	}{
		"no path":                     {headers(whole, 1, fields(":method", "GET", ":scheme", "http")), ProtocolError},
		"a path that is none":         {headers(whole, 1, fields(":method", "GET", ":scheme", "http", ":path", "a")), ProtocolError},
		"no method":                   {headers(whole, 1, fields(":scheme", "http", ":path", "/")), ProtocolError},
		"no scheme":                   {headers(whole, 1, fields(":method", "GET", ":path", "/")), ProtocolError},
		"two paths":                   {headers(whole, 1, get(":path", "/")), ProtocolError},
		"a pseudo-field behind":       {headers(whole, 1, fields(":method", "GET", ":scheme", "http", "a", "b", ":path", "/")), ProtocolError},
		"an unknown pseudo-field":     {headers(whole, 1, get(":x", "y")), ProtocolError},
		"one of responses":            {headers(whole, 1, get(":status", "200")), ProtocolError},
		"upper case":                  {headers(whole, 1, get("Accept", "x")), ProtocolError},
		"a name of no octets":         {headers(whole, 1, get("", "x")), ProtocolError},
		"a line end in a value":       {headers(whole, 1, get("a", "x\r\ny")), ProtocolError},
		"a line end in a path":        {headers(whole, 1, fields(":method", "GET", ":scheme", "http", ":path", "/\n")), ProtocolError},
		"a field of HTTP/1.1":         {headers(whole, 1, get("connection", "close")), ProtocolError},
		"te":                          {headers(whole, 1, get("te", "gzip")), ProtocolError},
		"two lengths":                 {headers(whole, 1, get("content-length", "0", "content-length", "1")), ProtocolError},
		"a length that is none":       {headers(whole, 1, get("content-length", "-1")), ProtocolError},
		"a body that is missing":      {headers(whole, 1, get("content-length", "1")), ProtocolError},
		"a body that is too short":    {append(headers(flagEndHeaders, 1, get("content-length", "2")), data(flagEndStream, 1, "x")...), ProtocolError},
		"a body behind its end":       {append(headers(whole, 1, get()), data(0, 1, strings.Repeat("x", smallData))...), StreamClosed},
		"a head behind its end":       {append(headers(whole, 1, get()), headers(whole, 1, get())...), StreamClosed},
		"trailers in the middle":      {append(bytes.Clone(begun), headers(flagEndHeaders, 1, fields("a", "b"))...), ProtocolError},
		"trailers that are a head":    {append(bytes.Clone(begun), headers(whole, 1, get())...), ProtocolError},
		"no more room":                {append(bytes.Clone(begun), appendWord(nil, frameWindowUpdate, 1, 0)...), ProtocolError},
		"too much room":               {append(bytes.Clone(begun), appendWord(nil, frameWindowUpdate, 1, maxWindow)...), FlowControlError},
		"more than there is room for": {append(bytes.Clone(begun), bytes.Repeat(data(0, 1, strings.Repeat("x", maxFrame)), 5)...), FlowControlError},
	} {
		k := newClient(t)
		evs, out, err := k.send(c.sent, appendFrame(nil, framePing, 0, 0, []byte("whatever")))
		broken := slices.IndexFunc(evs, func(ev Event) bool { return ev.Kind == Broken })
		if err != nil || broken < 0 || k.c.Open() != 0 || !strings.Contains(k.words(out), fmt.Sprintf("RST+0 1:%d", c.code)) || !strings.HasSuffix(k.words(out), "PING+1 0:whatever") {
			t.Errorf("%s: %+v, %v, said %s", name, evs, err, k.words(out))
		}
	}
}

// The response waits for room, of its stream and of the connection (section 5.2).
func TestResponsesWaitForRoom(t *testing.T) {
	k := newClient(t)
	small := binary.BigEndian.AppendUint32([]byte{0, settingWindow}, 10)
	evs, _, _ := k.send(appendFrame(nil, frameSettings, 0, 0, small), headers(whole, 1, get()), headers(whole, 3, get()))
	one, two := evs[0].Stream, evs[1].Stream
	body := []byte("0123456789abcdefghij")
	out := k.c.Respond(k.c.Respond(nil, one, 200, nil, body), two, 200, nil, body[:10])
	if got := k.words(out); got != "HEADERS+4 1:, DATA+0 1:0123456789, HEADERS+4 3:, DATA+1 3:0123456789" || !one.Waits() || two.Waits() {
		t.Fatalf("%s", got)
	}
	copy(body, "????????????????????") // it was the caller's
	_, out, _ = k.send(appendWord(nil, frameWindowUpdate, 1, 4))
	if got := k.words(out); got != "DATA+0 1:abcd" {
		t.Errorf("with room for 4: %s", got)
	}
	larger := binary.BigEndian.AppendUint32([]byte{0, settingWindow}, 100)
	_, out, _ = k.send(appendFrame(nil, frameSettings, 0, 0, larger))
	if got := k.words(out); got != "SETTINGS+1 0:, DATA+1 1:efghij" || one.Waits() || !slices.Equal(k.ended, []uint32{3, 1}) {
		t.Errorf("with larger windows: %s, ended %v", got, k.ended)
	}

	k = newClient(t)
	evs, _, _ = k.send(headers(whole, 1, get()), appendWord(nil, frameWindowUpdate, 1, 1<<20))
	long := bytes.Repeat([]byte("x"), firstWindow+5)
	out = k.c.Respond(nil, evs[0].Stream, 200, nil, long)
	if n := len(out); !evs[0].Stream.Waits() || n < firstWindow || n > firstWindow+200 {
		t.Errorf("%d octets without room in the connection", n)
	}
	_, out, _ = k.send(appendWord(nil, frameWindowUpdate, 0, 5))
	if got := k.words(out); got != "DATA+1 1:xxxxx" {
		t.Errorf("with room for 5 more: %s", got)
	}
}

// Who is answered before the request is whole need not send the rest, and may not have known
// that; what comes behind a whole request breaks a rule.
func TestWhatComesBehindAResponse(t *testing.T) {
	k := newClient(t)
	evs, _, _ := k.send(headers(flagEndHeaders, 1, get()), headers(whole, 3, get()))
	s := evs[0].Stream
	if got := k.words(k.c.Respond(nil, s, 413, nil, nil)); got != "HEADERS+5 1:" || !s.Answered() || s.Closed() {
		t.Errorf("before the request is whole: %s", got)
	}
	k.c.Respond(nil, evs[1].Stream, 200, nil, nil)
	large := strings.Repeat("x", smallData)
	if evs, out, err := k.send(data(0, 1, large), headers(whole, 1, fields("a", "b")), appendWord(nil, frameWindowUpdate, 1, 3), appendWord(nil, frameWindowUpdate, 3, 3)); len(evs) > 0 || len(out) > 0 || err != nil {
		t.Errorf("the rest: %+v, %s, %v", evs, k.words(out), err)
	}
	if evs, out, err := k.send(data(0, 3, large)); len(evs) != 1 || evs[0].Kind != Broken || k.words(out) != "RST+0 3:5" || err != nil {
		t.Errorf("behind a whole request: %+v, %s, %v", evs, k.words(out), err)
	}
}

// A client that was still sending took it for a failure of the stream when the reset came
// along with the response. Now the stream ends with what it sends, or by a reset that says
// there was no error.
func TestAResponseIsReadBeforeTheRestIsUnwanted(t *testing.T) {
	for what, end := range map[string]func(*client, *Stream) (string, error){
		"its body ends": func(k *client, _ *Stream) (string, error) {
			evs, out, err := k.send(data(0, 1, "x"), data(flagEndStream, 1, "y"))
			return fmt.Sprint(len(evs), k.words(out)), err
		},
		"trailers end it": func(k *client, _ *Stream) (string, error) {
			evs, out, err := k.send(headers(whole, 1, fields("a", "b")))
			return fmt.Sprint(len(evs), k.words(out)), err
		},
		"it is not wanted": func(k *client, s *Stream) (string, error) {
			if got := k.words(k.c.Reset(nil, s, NoError)); got != "RST+0 1:0" {
				return got, nil
			}
			evs, out, err := k.send(data(0, 1, "x"))
			return fmt.Sprint(len(evs), k.words(out)), err
		},
	} {
		k := newClient(t)
		evs, _, _ := k.send(headers(flagEndHeaders, 1, get()))
		s := evs[0].Stream
		k.c.Respond(nil, s, 413, nil, []byte("no"))
		if len(k.ended) > 0 {
			t.Errorf("%s: the stream had ended before", what)
		}
		if got, err := end(k, s); got != "0" || err != nil || !slices.Equal(k.ended, []uint32{1}) || s.Answered() || len(k.c.streams) > 0 {
			t.Errorf("%s: %s, %v; ended: %v", what, got, err, k.ended)
		}
	}
}

// A client has so many streams, those counted that it gave up while they are worked on.
func TestStreamsAreBounded(t *testing.T) {
	k := newClient(t)
	k.c.Abandoned = 2
	var id uint32 = 1
	for range limits.HTTPStreams - 2 {
		if evs, _, err := k.send(headers(whole, id, get())); len(evs) != 1 || evs[0].Kind != Head || err != nil {
			t.Fatalf("stream %d: %+v, %v", id, evs, err)
		}
		id += 2
	}
	evs, out, err := k.send(headers(whole, id, get()))
	if len(evs) != 1 || evs[0].Kind != Refused || k.words(out) != fmt.Sprintf("RST+0 %d:7", id) || err != nil {
		t.Errorf("one more: %+v, %s, %v", evs, k.words(out), err)
	}
	if evs, _, err := k.send(appendWord(nil, frameReset, 1, 8), headers(whole, id+2, get())); len(evs) != 2 || evs[0].Kind != Reset || evs[1].Kind != Head || err != nil || !slices.Equal(k.ended, []uint32{1}) {
		t.Errorf("after one was given up: %+v, %v", evs, err)
	}
}

// The client may always send as much of bodies as at first, once they are read.
func TestRoomForBodiesIsGivenAgain(t *testing.T) {
	k := newClient(t)
	_, _, _ = k.send(headers(flagEndHeaders, 1, get()))
	var all strings.Builder
	for range 3 {
		_, out, err := k.send(data(0, 1, strings.Repeat("x", maxFrame)))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(k.words(out))
	}
	if got := all.String(); got != fmt.Sprintf("WINDOW+0 0:%d", 2*maxFrame) {
		t.Errorf("%s", got)
	}
}

// A stream that was given up while its response waited was kept until the client gave room,
// which it need never do.
func TestStreamsThatEndWaitingAreForgotten(t *testing.T) {
	k := newClient(t)
	_, _, _ = k.send(appendFrame(nil, frameSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, settingWindow}, 0)))
	for id := uint32(1); id < 30; id += 4 {
		evs, _, err := k.send(headers(whole, id, get()), headers(whole, id+2, get()))
		if err != nil {
			t.Fatal(err)
		}
		k.c.Respond(nil, evs[0].Stream, 200, nil, []byte("waits"))
		k.c.Respond(nil, evs[1].Stream, 405, nil, nil)
		if _, _, err := k.send(appendWord(nil, frameReset, id, 8)); err != nil || len(k.c.waiting) != 0 {
			t.Fatalf("%d streams are kept, %v", len(k.c.waiting), err)
		}
	}
}

// However many settings a frame has, the last of each kind holds for the streams that are open.
func TestTheLastSettingHolds(t *testing.T) {
	k := newClient(t)
	evs, _, _ := k.send(headers(whole, 1, get()))
	var many []byte
	for size := uint32(2000); size > 0; size-- {
		many = binary.BigEndian.AppendUint32(append(many, 0, settingWindow), size)
	}
	_, _, err := k.send(appendFrame(nil, frameSettings, 0, 0, many))
	if got := k.words(k.c.Respond(nil, evs[0].Stream, 200, nil, []byte("xy"))); got != "HEADERS+4 1:, DATA+0 1:x" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// A head that is too large is told from one that is broken, and the next one is read.
func TestHeadsThatAreTooLarge(t *testing.T) {
	k := newClient(t)
	evs, _, err := k.send(headers(whole, 1, get("a", strings.Repeat("x", 5000), "b", strings.Repeat("y", 5000))), headers(whole, 3, get("c", "d")))
	if len(evs) != 2 || !evs[0].Stream.TooLarge || evs[1].Stream.TooLarge || err != nil {
		t.Errorf("%+v, %v", evs, err)
	}
}

// One field that is larger than a head may be (a browser's cookie) is as good as many: the
// request is refused, and what is on the connection besides it goes on. Only what need not be
// read to its end is no request any more, and is said to be too much, not to be garbled.
func TestOneFieldThatIsTooLargeIsNotGarbled(t *testing.T) {
	for _, octet := range []string{"x", "#"} { // of which HPACK makes less, and more, so that it sends it as it is
		long := get("cookie", strings.Repeat(octet, limits.HTTPHeaders+1000))
		k := newClient(t)
		evs, _, err := k.send(headers(whole, 1, get()), headers(whole, 3, long), headers(whole, 5, get()))
		if len(evs) != 3 || evs[0].Stream.TooLarge || !evs[1].Stream.TooLarge || evs[2].Stream.TooLarge || err != nil {
			t.Errorf("%s: %+v, %v", octet, evs, err)
		}
	}
	k := newClient(t)
	_, _, err := k.send(headers(whole, 1, get("cookie", strings.Repeat("a", 5*limits.HTTPHeaders/2)))) // 5 bits each
	var wrong *Error
	if !errors.As(err, &wrong) || wrong.Code != EnhanceYourCalm {
		t.Errorf("%v", err)
	}
}

// There is no body in the response to HEAD.
func TestAResponseToHead(t *testing.T) {
	k := newClient(t)
	evs, _, _ := k.send(headers(whole, 1, fields(":method", "HEAD", ":scheme", "http", ":path", "/")))
	if got := k.words(k.c.Respond(nil, evs[0].Stream, 405, nil, []byte("no"))); got != "HEADERS+5 1:" {
		t.Errorf("%s", got)
	}
}

// A flood is told from a violation, and nothing is said to it.
func TestAFloodEndsAConnection(t *testing.T) {
	k := newClient(t)
	_, out, err := k.send(bytes.Repeat(appendFrame(nil, framePriority, 0, 1, make([]byte, 5)), limits.HTTPFrames+1))
	if err != ErrFlood || len(out) > 0 {
		t.Errorf("%v, %s", err, k.words(out))
	}
}

func TestTheEndIsTold(t *testing.T) {
	k := newClient(t)
	_, _, _ = k.send(headers(whole, 7, get()))
	if got := k.words(k.c.GoAway(k.c.GoAwaySoon(nil), NoError)); got != "GOAWAY+0 0:2147483647 0, GOAWAY+0 0:7 0" {
		t.Errorf("%s", got)
	}
	if got := k.words(New().Begin(nil)); !strings.HasPrefix(got, "SETTINGS+0 0:") {
		t.Errorf("%s", got)
	}
}

// FuzzConn: whatever comes, in whatever pieces, is the same, keeps the bounds, and is answered
// by whole frames.
func FuzzConn(f *testing.F) {
	f.Add(slices.Concat(headers(whole, 1, get()), appendWord(nil, frameReset, 1, 8), data(0, 3, "x")), byte(3))
	f.Add(slices.Concat(headers(flagEndHeaders, 1, get("content-length", "3")), data(flagEndStream, 1, "abc"), appendWord(nil, frameWindowUpdate, 0, 9)), byte(20))
	f.Add(bytes.Repeat(headers(0, 1, []byte{0x82, 0xbf}), 3), byte(1))
	f.Fuzz(func(t *testing.T, in []byte, piece byte) {
		want, said := played(t, in, len(in)+1)
		got, saidToo := played(t, in, int(piece)+1)
		if got != want || said != saidToo {
			t.Fatalf("whole: %s\nsaid %q\nin pieces: %s\nsaid %q", want, said, got, saidToo)
		}
	})
}

// played sends octets in pieces to a server that answers each request when it is whole.
func played(t *testing.T, in []byte, piece int) (events, said string) {
	k := newClient(t)
	var list strings.Builder
	var out, have []byte
	for len(in) > 0 {
		n := min(piece, len(in))
		have = append(have, in[:n]...)
		in = in[n:]
		for {
			ev, used, more, err := k.c.Next(have, out)
			have, out = have[used:], more
			if k.c.Open() > limits.HTTPStreams || len(k.c.cut) > limits.HTTPStreams {
				t.Fatalf("%d streams are open, %d remembered", k.c.Open(), len(k.c.cut))
			}
			fmt.Fprintf(&list, "%d %v %q %v;", ev.Kind, ev.End, ev.Data, err)
			if err != nil {
				return strings.ReplaceAll(list.String(), `0 false "" <nil>;`, ""), k.words(out)
			}
			if ev.Kind == Nothing {
				break
			}
			if ev.Kind == Head {
				ev.Stream.Owner = k
			}
			if ev.End {
				out = k.c.Respond(out, ev.Stream, 200, []Field{{"a", "b"}}, []byte("answer"))
			}
		}
	}
	return strings.ReplaceAll(list.String(), `0 false "" <nil>;`, ""), k.words(out)
}
