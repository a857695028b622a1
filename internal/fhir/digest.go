package fhir

import (
	"crypto/sha256"
	"hash"
	"slices"
	"strings"
)

// A Print is what two copies of one resource have alike under invariant 10,
// wherever they lie: a hash of their values, and what they refer to.
type Print struct {
	Type string
	ID   string
	Hash [32]byte // of all but id, meta.versionId, meta.lastUpdated and references
	Refs []string // the references, in the order of the text
}

// placeholder stands for a reference in a Print.
const placeholder = "urn:abaton:reference"

// PrintOf takes a resource's print. Two resources that Equal says are alike,
// but for where they refer to, have the same hash.
func PrintOf(r Resource) (Print, error) {
	p := Print{Type: r.Type, ID: r.ID()}
	text := r.Rewrite(func(ref string) (string, bool) {
		p.Refs = append(p.Refs, ref)
		return placeholder, true
	})
	bare, err := ParseResource(text)
	if err != nil {
		return p, err
	}
	h := sha256.New()
	printBut(h, bare.Value, func(m Value) bool { return m.nameIs("id") || m.nameIs("meta") && !counts(m) })
	h.Sum(p.Hash[:0])
	return p, nil
}

func (v Value) nameIs(name string) bool { return string(v.nameBytes()) == name }

// counts reports whether a meta says more than what a gateway sets.
func counts(meta Value) bool {
	for m := range meta.Children() {
		if !m.nameIs("versionId") && !m.nameIs("lastUpdated") {
			return true
		}
	}
	return false
}

// printBut hashes the members of the resource; of its meta without what a
// gateway sets.
func printBut(h hash.Hash, resource Value, skip func(Value) bool) {
	var members []Value
	for m := range resource.Children() {
		if !skip(m) {
			members = append(members, m)
		}
	}
	printMembers(h, members, func(m Value) {
		if !m.nameIs("meta") {
			printValue(h, m)
			return
		}
		var kept []Value
		for inner := range m.Children() {
			if !inner.nameIs("versionId") && !inner.nameIs("lastUpdated") {
				kept = append(kept, inner)
			}
		}
		printMembers(h, kept, func(v Value) { printValue(h, v) })
	})
}

// printMembers hashes members in the order of their names.
func printMembers(h hash.Hash, members []Value, one func(Value)) {
	slices.SortFunc(members, func(a, b Value) int { return strings.Compare(a.Name(), b.Name()) })
	printText(h, '{', nil)
	for _, m := range members {
		printText(h, 'k', m.nameBytes())
		one(m)
	}
	printText(h, '}', nil)
}

func printValue(h hash.Hash, v Value) {
	switch v.Kind() {
	case Object:
		printMembers(h, slices.Collect(v.Children()), func(m Value) { printValue(h, m) })
	case Array:
		printText(h, '[', nil)
		for e := range v.Children() {
			printValue(h, e)
		}
		printText(h, ']', nil)
	case String:
		printText(h, 's', v.textBytes())
	default:
		printText(h, 'l', v.Raw())
	}
}

// printText writes a kind, the length and the text, so that nothing runs into
// what follows.
func printText(h hash.Hash, kind byte, text []byte) {
	n := len(text)
	h.Write([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	h.Write(text)
}
