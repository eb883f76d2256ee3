package dnsname

import "strings"

// Compare orders names canonically: label by label from the root, each label
// as unsigned octets (RFC 4034, section 6.1).
func Compare(a, b Name) int {
	var ao, bo [MaxLen/2 + 1]uint8
	na, nb := labelStarts(a, &ao), labelStarts(b, &bo)
	for i, j := na-1, nb-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if c := strings.Compare(labelAt(a, ao[i]), labelAt(b, bo[j])); c != 0 {
			return c
		}
	}
	return na - nb
}

// labelStarts fills at with the position of each label and counts them.
func labelStarts(n Name, at *[MaxLen/2 + 1]uint8) int {
	c := 0
	for p := 0; p < len(n) && n[p] != 0; p += int(n[p]) + 1 {
		at[c] = uint8(p)
		c++
	}
	return c
}

func labelAt(n Name, p uint8) string { return string(n[int(p)+1 : int(p)+1+int(n[p])]) }
