package thief

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
)

// digestFact is how many bytes of a hash make a fact, so that a shortened one
// is found too.
const digestFact = factBytesMin

// NumberFacts are the traces that a number leaves where somebody keeps it, or a
// hash that can be guessed from it: a citizen's number has nine digits, and
// whoever has a hash tries them all. It is searched for as it is, backwards,
// with its system before it in the usual ways, and as MD5, SHA-1, SHA-256 and
// SHA-512 of each; each of these in all encodings of a search.
func NumberFacts(system, value string) (facts []Fact) {
	add := func(what, text string) {
		if len(text) >= factBytesMin {
			facts = append(facts, Fact{What: what, Text: text})
		}
	}
	backwards := []byte(value)
	slices.Reverse(backwards)
	add("number", value)
	add("number backwards", string(backwards))
	for _, form := range []string{value, string(backwards), system + "|" + value, system + value, system + "#" + value, system + "/" + value, system + ":" + value,
		"identifier=" + value, "identifier=" + system + "|" + value, value + "\n"} {
		b := []byte(form)
		md, one, two, five := md5.Sum(b), sha1.Sum(b), sha256.Sum256(b), sha512.Sum512(b)
		add("MD5 of number", string(md[:digestFact]))
		add("SHA-1 of number", string(one[:digestFact]))
		add("SHA-256 of number", string(two[:digestFact]))
		add("SHA-512 of number", string(five[:digestFact]))
	}
	return facts
}
