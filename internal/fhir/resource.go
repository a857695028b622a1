package fhir

// A Resource is a view of one FHIR resource inside a Document. The zero
// Resource is absent and has no type.
type Resource struct {
	Value        // the object
	Type  string // its resourceType, always one of R4
}

// ParseResource reads one resource of at most ResourceBytesMax bytes: strict
// JSON (Parse), a type of R4, an id by the grammar if any, a meta that is an
// object if any. Errors are *SyntaxError and *OutcomeError.
func ParseResource(src []byte) (Resource, error) {
	if len(src) > ResourceBytesMax {
		return Resource{}, refuse(statusTooLarge, "too-long", "", "the resource is too large; put large content into a Binary")
	}
	d, err := Parse(src)
	if err != nil {
		return Resource{}, err
	}
	return resourceOf(d.Root())
}

// resourceOf checks what every resource must have, wherever it stands.
func resourceOf(v Value) (Resource, error) {
	if v.Kind() != Object {
		return Resource{}, refuse(statusBadRequest, "structure", "", "a resource must be a JSON object")
	}
	t := v.Get("resourceType")
	if t.Kind() != String {
		return Resource{}, refuse(statusBadRequest, "required", "", "resourceType is missing; name the resource's type")
	}
	name := t.Text()
	if !IsType(name) {
		return Resource{}, refuse(statusBadRequest, "invalid", "resourceType", "resourceType is no type of FHIR R4; correct it")
	}
	if id := v.Get("id"); id.Kind() != Absent && !IsID(id.Text()) {
		return Resource{}, refuse(statusUnprocessable, "value", name+".id", "an id is 1 to 64 letters, digits, dots and dashes; change it")
	}
	if k := v.Get("meta").Kind(); k != Absent && k != Object {
		return Resource{}, refuse(statusUnprocessable, "structure", name+".meta", "meta must be an object; correct it")
	}
	return Resource{v, name}, nil
}

// ID is the resource's own id, "" if it has none.
func (r Resource) ID() string { return r.Get("id").Text() }

// VersionID is meta.versionId, "" if it has none.
func (r Resource) VersionID() string { return r.Path("meta", "versionId").Text() }

// LastUpdated is meta.lastUpdated as it is written, "" if it has none.
func (r Resource) LastUpdated() string { return r.Path("meta", "lastUpdated").Text() }

// IsID reports whether s is an id by the grammar [A-Za-z0-9\-\.]{1,64}
// (FHIR R4, datatypes.html#id).
func IsID(s string) bool {
	if len(s) == 0 || len(s) > idBytesMax {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if b-'0' >= 10 && (b|0x20)-'a' >= 26 && b != '-' && b != '.' {
			return false
		}
	}
	return true
}
