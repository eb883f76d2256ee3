package lineedit

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A key is a character that was typed, or one of those below.
type key rune

// Keys that are no characters.
const (
	keyNothing key = -1 - iota // a sequence that means nothing here
	keyEnter
	keyInterrupt
	keyEnd // of the input, in an empty line; else keyDelete
	keyTab
	keyLeft
	keyRight
	keyWordLeft
	keyWordRight
	keyLineStart
	keyLineEnd
	keyOlder
	keyNewer
	keySearch
	keyCancel
	keyBackspace
	keyDelete
	keyKillWordLeft
	keyKillWordRight
	keyKillLeft
	keyKillRight
	keyYank
	keyTranspose
	keyClearScreen
	keyPasteStart
	keyPasteEnd
)

// controls are the keys of control characters.
var controls = map[byte]key{
	1: keyLineStart, 2: keyLeft, 3: keyInterrupt, 4: keyEnd, 5: keyLineEnd, 6: keyRight, 7: keyCancel, 8: keyBackspace, 9: keyTab,
	10: keyEnter, 11: keyKillRight, 12: keyClearScreen, 13: keyEnter, 14: keyNewer, 16: keyOlder, 18: keySearch, 20: keyTranspose,
	21: keyKillLeft, 23: keyKillWordLeft, 25: keyYank, 127: keyBackspace,
}

// finals are the keys of sequences by their last octet: ESC [ … and ESC O … (ECMA-48, and
// what terminals have made of it).
var finals = map[byte]key{'A': keyOlder, 'B': keyNewer, 'C': keyRight, 'D': keyLeft, 'F': keyLineEnd, 'H': keyLineStart}

// numbered are those of ESC [ NUMBER ~.
var numbered = map[string]key{
	"1": keyLineStart, "7": keyLineStart, "4": keyLineEnd, "8": keyLineEnd, "3": keyDelete, "200": keyPasteStart, "201": keyPasteEnd,
}

// alone are those of ESC and one octet.
var alone = map[byte]key{'b': keyWordLeft, 'f': keyWordRight, 'd': keyKillWordRight, 8: keyKillWordLeft, 127: keyKillWordLeft}

const escape = 0x1b

// longestSequence bounds what is looked through for the end of a sequence.
const longestSequence = 32

// decode reads the first key of b, which is n octets long; 0: more octets are needed.
func decode(b []byte) (k key, n int) {
	switch {
	case len(b) == 0:
		return keyNothing, 0
	case b[0] == escape:
		return decodeEscape(b)
	case b[0] < ' ' || b[0] == 127:
		if k, ok := controls[b[0]]; ok {
			return k, 1
		}
		return keyNothing, 1
	case !utf8.FullRune(b):
		return keyNothing, 0
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError || unicode.IsControl(r) {
		return keyNothing, n
	}
	return key(r), n
}

func decodeEscape(b []byte) (key, int) {
	if len(b) < 2 {
		return keyNothing, 0
	}
	switch b[1] {
	case '[':
		return decodeSequence(b)
	case 'O':
		if len(b) < 3 {
			return keyNothing, 0
		}
		return known(finals, b[2]), 3
	case escape:
		return keyNothing, 1
	}
	if _, ends := controls[b[1]]; ends && b[1] != 8 && b[1] != 127 {
		return keyNothing, 1 // of Enter and Ctrl-C nothing is lost
	}
	return known(alone, b[1]), 2
}

// decodeSequence reads ESC [ PARAMETERS FINAL.
func decodeSequence(b []byte) (key, int) {
	end := bytes.IndexFunc(b[2:min(len(b), longestSequence)], func(r rune) bool { return r < '0' || r > '?' })
	switch {
	case end < 0 && len(b) >= longestSequence:
		return keyNothing, longestSequence
	case end < 0:
		return keyNothing, 0
	}
	parameters, final := b[2:2+end], b[2+end]
	if final < ' ' { // it was cut off
		return keyNothing, 2 + end
	}
	n := 3 + end
	number, modifier, _ := bytes.Cut(parameters, []byte{';'})
	switch {
	case final == '~':
		return known(numbered, string(number)), n
	case final == 'C' && len(modifier) > 0:
		return keyWordRight, n
	case final == 'D' && len(modifier) > 0:
		return keyWordLeft, n
	}
	return known(finals, final), n
}

func known[K comparable](keys map[K]key, of K) key {
	if k, ok := keys[of]; ok {
		return k
	}
	return keyNothing
}
