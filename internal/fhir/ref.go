package fhir

import "strings"

// A Ref is a reference taken apart. Exactly one of Type, URN and Fragment is
// set. Refs are comparable: two that are equal name the same thing, versions
// apart.
type Ref struct {
	Base     string // "http://host/fhir" of an absolute reference, else ""
	Type     string // resource type
	ID       string // of a literal reference
	Version  string // of a version-specific one, else ""
	Query    string // of a conditional one: what follows the question mark
	URN      string // "urn:uuid:..." or "urn:oid:...", known only inside a Bundle
	Fragment string // of a contained one: what follows the hash
}

// String is the reference as FHIR writes it.
func (r Ref) String() string {
	switch {
	case r.URN != "":
		return r.URN
	case r.Type == "":
		return "#" + r.Fragment
	case r.ID == "":
		return r.Type + "?" + r.Query
	}
	s := r.Type + "/" + r.ID
	if r.Base != "" {
		s = r.Base + "/" + s
	}
	if r.Version != "" {
		s += "/_history/" + r.Version
	}
	return s
}

// unversioned is the reference without its version.
func (r Ref) unversioned() Ref {
	r.Version = ""
	return r
}

// ParseRef takes a reference apart: Type/id, an absolute URL ending so, each
// also with /_history/version, Type?query, urn:uuid, urn:oid, #fragment
// (FHIR R4, references.html#literal). It reports false for anything else,
// among it URLs that name no R4 resource.
func ParseRef(s string) (Ref, bool) {
	if isURN(s) {
		return Ref{URN: s}, true
	}
	if fragment, ok := strings.CutPrefix(s, "#"); ok {
		return Ref{Fragment: fragment}, true
	}
	if name, query, ok := strings.Cut(s, "?"); ok {
		return Ref{Type: name, Query: query}, IsType(name) && query != ""
	}
	parts := strings.Split(s, "/")
	var r Ref
	if n := len(parts); n >= 4 && parts[n-2] == "_history" {
		r.Version = parts[n-1]
		if parts = parts[:n-2]; !IsID(r.Version) {
			return Ref{}, false
		}
	}
	n := len(parts)
	if n < 2 || !IsType(parts[n-2]) || !IsID(parts[n-1]) {
		return Ref{}, false
	}
	r.Type, r.ID, r.Base = parts[n-2], parts[n-1], strings.Join(parts[:n-2], "/")
	if n > 2 && !strings.HasPrefix(r.Base, "http://") && !strings.HasPrefix(r.Base, "https://") {
		return Ref{}, false
	}
	return r, true
}

func isURN(s string) bool {
	return strings.HasPrefix(s, "urn:uuid:") || strings.HasPrefix(s, "urn:oid:")
}

// refOf reads the reference of a Reference element.
func refOf(reference Value) (Ref, bool) { return ParseRef(reference.Get("reference").Text()) }
