package trustanchor

// builtin are the root's trust anchors as IANA publishes them (RFC 9718): KSK-2017
// and KSK-2024.
const builtin = `. 0 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. 0 IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

// Builtin is the root's trust anchors that are used where no others are given.
func Builtin() *KeySet {
	sets, err := parse(builtin)
	if err != nil {
		panic(err) // the text above is part of the program
	}
	return sets[0]
}
