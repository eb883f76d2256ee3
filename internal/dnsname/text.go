package dnsname

// Parse reads presentation format (RFC 1035, section 5.1): labels separated by
// dots, \DDD and \X escapes, the final dot optional.
func Parse(text string) (Name, error) {
	if text == "" {
		return "", ErrEmpty
	}
	if text == "." {
		return Root, nil
	}
	out := make([]byte, 0, len(text)+2)
	start := 0 // position of the current label's length octet
	out = append(out, 0)
	for i := 0; i < len(text); {
		c := text[i]
		if c == '.' {
			if err := closeLabel(out, start); err != nil {
				return "", err
			}
			start = len(out)
			out = append(out, 0)
			i++
			continue
		}
		octet, n, err := unescape(text[i:])
		if err != nil {
			return "", err
		}
		out = append(out, Lower(octet))
		i += n
	}
	if len(out)-start > 1 { // no final dot
		if err := closeLabel(out, start); err != nil {
			return "", err
		}
		out = append(out, 0)
	}
	if len(out) > MaxLen {
		return "", ErrNameLong
	}
	return Name(out), nil
}

// closeLabel writes the length of the label that began at start.
func closeLabel(out []byte, start int) error {
	n := len(out) - start - 1
	switch {
	case n == 0:
		return ErrEmptyLabel
	case n > MaxLabel:
		return ErrLabelLong
	}
	out[start] = byte(n)
	return nil
}

// unescape reads one possibly escaped octet at the start of s and tells how
// much of s it used.
func unescape(s string) (octet byte, n int, err error) {
	if s[0] != '\\' {
		return s[0], 1, nil
	}
	if len(s) < 2 {
		return 0, 0, ErrEscape
	}
	if s[1] < '0' || s[1] > '9' {
		return s[1], 2, nil
	}
	if len(s) < 4 {
		return 0, 0, ErrEscape
	}
	v := 0
	for _, d := range []byte(s[1:4]) {
		if d < '0' || d > '9' {
			return 0, 0, ErrEscape
		}
		v = v*10 + int(d-'0')
	}
	if v > 255 {
		return 0, 0, ErrEscape
	}
	return byte(v), 4, nil
}

// String is the presentation format of n with its final dot. Octets that are
// special in zone files or not printable are escaped, so the text is safe to
// log and parses back to n.
func (n Name) String() string {
	if len(n) == 0 {
		return ""
	}
	if n[0] == 0 {
		return "."
	}
	out := make([]byte, 0, len(n)+4)
	for p := 0; p < len(n) && n[p] != 0; {
		l := int(n[p])
		for _, c := range []byte(n[p+1 : p+1+l]) {
			out = appendEscaped(out, c)
		}
		out = append(out, '.')
		p += l + 1
	}
	return string(out)
}

func appendEscaped(out []byte, c byte) []byte {
	switch {
	case c == '.' || c == '\\' || c == '"' || c == ';' || c == '(' || c == ')' || c == '@' || c == '$':
		return append(out, '\\', c)
	case c <= ' ' || c >= 0x7f:
		return append(out, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	}
	return append(out, c)
}
