// Package web has the libraries socket.http and ssl.https of scripts: requests over HTTP
// in LuaSocket's simple and generic forms. What a request means is written in Lua, since
// its body and what it brings are functions of scripts (package ltn12); connections are
// those of net/http. A server's certificate is verified unless a script says otherwise.
//
// Everything that waits steps aside, and nothing waits for good: each read and write has
// the time that the script gives, and the whole has limits of time and octets.
package web

import (
	_ "embed" // what requests mean is a file
	"kresd/internal/limits"
	"kresd/internal/script"
)

//go:embed http.lua
var text string

// Libraries are the ones that require gives as socket.http and ssl.https.
func Libraries() []script.Library {
	return []script.Library{
		library("socket.http", "http", 80, "requests over HTTP: request(url[, body]), request{ url = …, sink = … }"),
		library("ssl.https", "https", 443, "requests over HTTPS, in the forms of socket.http; certificates are verified"),
	}
}

func library(name, scheme string, port int, help string) script.Library {
	return script.Library{Name: name, Help: help, Open: func(c *script.Call) (any, error) {
		class := classOf()
		core := c.LibraryTable(name, []script.Func{{Name: "begin", Args: "[settings]", Max: 1, Fn: func(c *script.Call) error { return begin(c, class) }}})
		return c.LibraryText(name, text, core, name, scheme, port)
	}}
}

// begin starts a request. Without settings it tells how large a string may be.
func begin(c *script.Call, class *script.Class) error {
	if c.NArgs() == 0 {
		return c.Return(limits.LuaString)
	}
	t := c.Table(1)
	if c.Withheld("%v was not asked", t.Get("url")) {
		return c.Return(nil, "nobody is asked while a configuration is only checked")
	}
	e, err := newExchange(t)
	if err != nil {
		return c.Return(nil, err.Error())
	}
	return c.Return(&script.Handle{Class: class, Value: e})
}
