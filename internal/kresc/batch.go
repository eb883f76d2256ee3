package kresc

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"kresd/internal/limits"
)

// execute runs commands until one fails.
func (c *client) execute(commands []string) int {
	for _, text := range commands {
		if status := c.command(text); status != 0 {
			return status
		}
	}
	return 0
}

// pipe runs the commands that come over the standard input until one fails. As on every
// console, lines that arrive together and make one chunk of Lua are one command.
func (c *client) pipe() int {
	buf, pending := make([]byte, limits.ConsoleLine), ""
	for {
		n, err := c.streams.In.Read(buf)
		rest, status := c.commands(pending+string(buf[:n]), err != nil)
		if status != 0 {
			return status
		}
		pending = rest
		switch {
		case errors.Is(err, io.EOF):
			return 0
		case err != nil:
			c.complain(fmt.Errorf("standard input: %w", err))
			return statusNobody
		}
	}
}

var errTooLong = fmt.Errorf("a command is longer than the %d octets that a worker takes", limits.ConsoleLine)

// commands runs the commands that are complete in text and returns what is left, which
// needs more text. At the end there is no more: what is left is run, so that its
// error is shown. After a command that failed nothing is left.
func (c *client) commands(text string, atEnd bool) (rest string, status int) {
	for text != "" {
		lines := wholeLines(text, atEnd)
		switch {
		case lines == "" && len(text) > limits.ConsoleLine:
			c.complain(errTooLong)
			return "", statusRaised
		case lines == "":
			return text, 0
		}
		n, err := c.split(lines)
		switch {
		case err != nil:
			c.complain(err)
			return "", statusNobody
		case n == 0 && len(text) > limits.ConsoleLine:
			c.complain(errTooLong)
			return "", statusRaised
		case n == 0 && atEnd:
			n = len(text)
		case n == 0:
			return text, 0
		}
		command := strings.TrimSuffix(text[:n], "\n")
		text = text[n:]
		if strings.TrimSpace(command) == "" {
			continue
		}
		if status := c.command(command); status != 0 {
			return "", status
		}
	}
	return text, 0
}

// wholeLines is what of text can be looked at: up to its last newline, or all when no more
// comes, but no more than a command may have.
func wholeLines(text string, all bool) string {
	if len(text) > limits.ConsoleLine {
		text, all = text[:limits.ConsoleLine], false
	}
	if all {
		return text
	}
	return text[:strings.LastIndexByte(text, '\n')+1]
}
