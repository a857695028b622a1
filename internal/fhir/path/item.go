package path

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// A Collection is what an expression gives: items in order.
type Collection []Item

// An Item is one value: an element of a resource, or a value of the language
// itself. The zero Item is absent. An Item points into the document it came
// from.
type Item struct {
	value fhir.Value // of an element; absent if only the companion is there
	extra fhir.Value // the companion "_name" of a primitive
	def   *structure.Type
	lit   any // of the language: bool, string, int64, Decimal, Moment, Quantity, typeInfo
}

func (it Item) absent() bool {
	return it.lit == nil && it.value.Kind() == fhir.Absent && it.extra.Kind() == fhir.Absent
}

// Value is the element's JSON, absent for a value of the language.
func (it Item) Value() fhir.Value { return it.value }

// Type is the element's type, nil for a value of the language or an unknown
// type.
func (it Item) Type() *structure.Type { return it.def }

// Text is the item as a string: of an element of a primitive type its value,
// of a value of the language what toString() gives. ok is false if it has
// none.
func (it Item) Text() (s string, ok bool) { return stringOf(it.plain()) }

// Bool is the item as a truth value.
func (it Item) Bool() (b, ok bool) {
	b, ok = it.plain().(bool)
	return b, ok
}

// primitive reports whether the item can have a value of the language.
func (it Item) primitive() bool {
	return it.lit != nil || it.def != nil && it.def.Kind == structure.Primitive || it.def == nil && isScalar(it.value)
}

func isScalar(v fhir.Value) bool {
	switch v.Kind() {
	case fhir.Boolean, fhir.Number, fhir.String:
		return true
	}
	return false
}

// plain is the value of the language: nil for elements without one. A FHIR
// Quantity is one, too.
func (it Item) plain() any {
	if it.lit != nil {
		return it.lit
	}
	if it.def != nil && it.def.Kind != structure.Primitive {
		if it.def.Is("Quantity") {
			if q, ok := quantityOf(it.value); ok {
				return q
			}
		}
		return nil
	}
	switch it.value.Kind() {
	case fhir.Boolean:
		return it.value.True()
	case fhir.Number:
		return it.numeral()
	case fhir.String:
		return it.written()
	}
	return nil
}

func (it Item) numeral() any {
	d, ok := parseDecimal(string(it.value.Raw()))
	if !ok {
		return nil
	}
	if it.def == nil || it.def.Name == "decimal" {
		return d
	}
	if n, ok := d.integer(); ok {
		return n
	}
	return d
}

func (it Item) written() any {
	s := it.value.Text()
	if it.def == nil {
		return s
	}
	kind := noMoment
	switch it.def.Name {
	case "date":
		kind = dateMoment
	case "dateTime", "instant":
		kind = dateTimeMoment
	case "time":
		kind = timeMoment
	default:
		return s
	}
	if m, ok := parseMoment(s, kind); ok {
		return m
	}
	return s
}

// quantityOf reads a FHIR Quantity.
func quantityOf(v fhir.Value) (q Quantity, ok bool) {
	d, ok := parseDecimal(string(v.Get("value").Raw()))
	if !ok || v.Get("comparator").Kind() != fhir.Absent {
		return q, false
	}
	unit, coded := v.Get("code").Text(), v.Get("system").Is(ucum)
	if !coded || unit == "" {
		unit = v.Get("unit").Text()
		if unit == "" {
			unit = v.Get("code").Text()
		}
	}
	if unit == "" {
		unit = "1"
	}
	return Quantity{d, unit, true}, true
}

const ucum = "http://unitsofmeasure.org"

// typeInfo is what type() gives.
type typeInfo struct{ space, name string }

func (it Item) info() typeInfo {
	if it.lit == nil {
		if it.def == nil {
			return typeInfo{"FHIR", "Element"}
		}
		if base := it.def.Base; strings.Contains(it.def.Name, ".") && base != nil {
			return typeInfo{"FHIR", base.Name}
		}
		return typeInfo{"FHIR", it.def.Name}
	}
	switch v := it.lit.(type) {
	case bool:
		return typeInfo{"System", "Boolean"}
	case string:
		return typeInfo{"System", "String"}
	case int64:
		return typeInfo{"System", "Integer"}
	case Decimal:
		return typeInfo{"System", "Decimal"}
	case Quantity:
		return typeInfo{"System", "Quantity"}
	case Moment:
		return typeInfo{"System", v.kind.String()}
	}
	return typeInfo{"System", "SimpleTypeInfo"}
}

// is reports whether the item is of a type. A bare name means the FHIR type
// for elements and the type of the language for values of it.
func (it Item) is(name typeName) bool {
	if it.lit == nil {
		if name.space == "System" {
			return false
		}
		if it.def == nil {
			return false
		}
		return it.def.Is(name.name)
	}
	if name.space == "FHIR" {
		return false
	}
	info := it.info()
	return info.name == name.name || name.name == "Any"
}

// truth reads a collection as a truth value: empty is unknown; one item that
// is no Boolean counts as true (FHIRPath 2.0, section 5.5).
func truth(c Collection) (b, known bool, err error) {
	switch len(c) {
	case 0:
		return false, false, nil
	case 1:
		if b, ok := c[0].Bool(); ok {
			return b, true, nil
		}
		return true, true, nil
	}
	return false, false, fault("several items where one truth value belongs")
}

func boolean(b bool) Collection { return Collection{Item{lit: b}} }

func single(v any) Collection { return Collection{Item{lit: v}} }

// one is the only item of a collection; ok is false if it is empty.
func one(c Collection) (it Item, ok bool, err error) {
	switch len(c) {
	case 0:
		return Item{}, false, nil
	case 1:
		return c[0], true, nil
	}
	return Item{}, false, fault("several items where one belongs")
}
