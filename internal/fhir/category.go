package fhir

import "strings"

// A Category is the sensitivity category a resource is sealed under: one line
// and one segment per patient and category (PROTOCOL.md#segment). The zero
// Category is none: nothing may be sealed under it.
type Category uint8

// The categories, from the least to the most sensitive: Stricter and the
// choice between several matches follow this order. Emergency comes first
// because it is no home of its own, but a kept-current copy of what an
// emergency needs; CategoryOf never answers it.
const (
	Emergency Category = iota + 1
	General
	Imaging
	Reproductive
	Genetic
	Psychiatric
	Addiction
	HIVSTI
	Safeguarding
	PsychotherapyNotes
)

// Categories are all of them, in that order.
func Categories() []Category {
	return []Category{Emergency, General, Imaging, Reproductive, Genetic, Psychiatric, Addiction, HIVSTI, Safeguarding, PsychotherapyNotes}
}

// String is the category's name, "none" for the zero Category and for any
// number that is no category.
func (c Category) String() string {
	switch c {
	case Emergency:
		return "emergency"
	case General:
		return "general"
	case Imaging:
		return "imaging"
	case Reproductive:
		return "reproductive"
	case Genetic:
		return "genetic"
	case Psychiatric:
		return "psychiatric"
	case Addiction:
		return "addiction"
	case HIVSTI:
		return "hiv-sti"
	case Safeguarding:
		return "safeguarding"
	case PsychotherapyNotes:
		return "psychotherapy-notes"
	}
	return "none"
}

// ParseCategory reads a name that String writes.
func ParseCategory(name string) (Category, bool) {
	for _, c := range Categories() {
		if c.String() == name {
			return c, true
		}
	}
	return 0, false
}

// ID is the category's stable 16 bytes, from which its segment seeds are
// derived (PROTOCOL.md#segment): the name, padded with zeros. It is never
// seen by a keeper. The zero Category has the zero ID, which is no category.
// A name of more than 16 bytes is cut: only psychotherapy-notes is.
func (c Category) ID() (id [16]byte) {
	if c.String() != "none" {
		copy(id[:], c.String())
	}
	return id
}

// CategoryByID finds the category of an ID.
func CategoryByID(id [16]byte) (Category, bool) {
	for _, c := range Categories() {
		if c.ID() == id {
			return c, true
		}
	}
	return 0, false
}

// Stricter is the more sensitive of two: an update never moves a resource to
// a less sensitive category than one it has been under. Either may be zero.
func Stricter(a, b Category) Category { return max(a, b) }

// CategoryOf is the most sensitive category that the resource's security
// labels, type, profiles, questionnaire or any coding in it, at any depth,
// call for: General when none does. The rows are in sensitive.tsv.
func CategoryOf(r Resource) Category {
	if r.Kind() != Object {
		return 0
	}
	c := General
	for profile := range r.Get("meta").Get("profile").Each() {
		c = Stricter(c, match(systemProfile, profile.Text()))
	}
	c = Stricter(c, questionnaireCategory(r.Get("questionnaire").Text()))
	return Stricter(c, codingsCategory(r.Value))
}

// labelCategory reads one Coding of meta.security.
func labelCategory(label Value) Category {
	s := systemOf(label.Get("system").Text())
	if s != systemActcode && s != systemConfidentiality {
		return 0
	}
	return sensitiveCode(s, label.Get("code").Text())
}

// questionnaireCategory looks at the words of a questionnaire's canonical.
func questionnaireCategory(canonical string) (c Category) {
	if canonical == "" {
		return 0
	}
	canonical = strings.ToLower(canonical[strings.LastIndexByte(canonical, '/')+1:])
	words := strings.FieldsFunc(canonical, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	for _, word := range words {
		c = Stricter(c, sensitiveCode(systemQuestionnaire, word))
	}
	return c
}

// codingsCategory looks at v and every object below it: at each resource, v
// and contained ones, for its type and security labels, and at each coding for
// its code. Elsewhere than in a label the codes of v3 ActCode mean other
// things (Encounter.class) and are passed over.
func codingsCategory(v Value) (c Category) {
	for at := v.at; at < v.cell().next; at++ {
		object := Value{v.doc, at}
		if object.Kind() != Object {
			continue
		}
		if code := object.Get("code"); code.Kind() == String {
			c = Stricter(c, codingCategory(object.Get("system").textBytes(), code.textBytes()))
		}
		if t := object.Get("resourceType"); t.Kind() == String {
			c = Stricter(c, sensitiveCode(systemType, t.Text()))
			for label := range object.Path("meta", "security").Each() {
				c = Stricter(c, labelCategory(label))
			}
		}
	}
	return c
}

func codingCategory(uri, code []byte) Category {
	if len(uri) == 0 {
		return 0
	}
	switch s := systemOf(string(uri)); s {
	case systemNone:
		return match(systemSystem, string(uri))
	case systemActcode, systemConfidentiality:
		return 0
	case systemIcd10:
		return match(s, strings.ToUpper(strings.ReplaceAll(string(code), ".", "")))
	default:
		return match(s, string(code))
	}
}

type system uint8

// A sensitivePrefix is a row for all codes that begin with it.
type sensitivePrefix struct {
	prefix   string
	category Category
}

// match is the strictest row of a system for a code.
func match(s system, code string) Category {
	c := sensitiveCode(s, code)
	for _, p := range sensitivePrefixes(s) {
		if strings.HasPrefix(code, p.prefix) {
			c = Stricter(c, p.category)
		}
	}
	return c
}
