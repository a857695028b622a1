package path

import "strings"

// A Quantity is a number with a unit: a UCUM code, or a calendar duration
// (FHIRPath 2.0, section 4.1.8).
type Quantity struct {
	value Decimal
	unit  string
	coded bool // a UCUM code, not a word
}

func (q Quantity) String() string {
	if q.coded {
		return q.value.String() + " '" + q.unit + "'"
	}
	return q.value.String() + " " + q.unit
}

// calendarUnit is the singular of a word for a duration, "" if it is none.
func calendarUnit(s string) string {
	s = strings.TrimSuffix(s, "s")
	switch s {
	case "year", "month", "week", "day", "hour", "minute", "second", "millisecond":
		return s
	}
	return ""
}

// definite is the UCUM code that a calendar word stands for where that is
// exact, and the word of a UCUM code of time.
var definite = map[string]string{"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}

var calendarOf = map[string]string{"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond", "a": "year", "mo": "month"}

// scale is a unit as a multiple of a base unit. Only what the definitions and
// common measurements compare is here; other units equal themselves.
type scale struct {
	factor string
	base   string
}

var units = map[string]scale{
	"1": {"1", "1"}, "%": {"0.01", "1"},
	"g": {"1", "g"}, "kg": {"1000", "g"}, "mg": {"0.001", "g"}, "ug": {"0.000001", "g"}, "ng": {"0.000000001", "g"},
	"[lb_av]": {"453.59237", "g"}, "[oz_av]": {"28.349523125", "g"},
	"m": {"1", "m"}, "km": {"1000", "m"}, "dm": {"0.1", "m"}, "cm": {"0.01", "m"}, "mm": {"0.001", "m"}, "um": {"0.000001", "m"}, "nm": {"0.000000001", "m"},
	"[in_i]": {"0.0254", "m"}, "[ft_i]": {"0.3048", "m"}, "[mi_i]": {"1609.344", "m"},
	"m2": {"1", "m2"}, "cm2": {"0.0001", "m2"}, "mm2": {"0.000001", "m2"},
	"m3": {"1000", "L"}, "cm3": {"0.001", "L"},
	"L": {"1", "L"}, "l": {"1", "L"}, "dL": {"0.1", "L"}, "dl": {"0.1", "L"}, "mL": {"0.001", "L"}, "ml": {"0.001", "L"}, "uL": {"0.000001", "L"},
	"s": {"1", "s"}, "ms": {"0.001", "s"}, "min": {"60", "s"}, "h": {"3600", "s"}, "d": {"86400", "s"}, "wk": {"604800", "s"},
	"a": {"12", "mo"}, "mo": {"1", "mo"},
	"mol": {"1", "mol"}, "mmol": {"0.001", "mol"}, "umol": {"0.000001", "mol"},
	"mol/L": {"1", "mol/L"}, "mmol/L": {"0.001", "mol/L"}, "umol/L": {"0.000001", "mol/L"},
	"g/L": {"1", "g/L"}, "g/dL": {"10", "g/L"}, "mg/dL": {"0.01", "g/L"}, "mg/L": {"0.001", "g/L"}, "ug/mL": {"0.001", "g/L"}, "ng/mL": {"0.000001", "g/L"},
}

// canonical is the quantity in its base unit.
func (q Quantity) canonical() (Decimal, string) {
	unit := q.unit
	if !q.coded {
		unit = calendarUnit(unit)
		if code := definite[unit]; code != "" {
			unit = code
		} else {
			return q.months(unit)
		}
	}
	s, ok := units[unit]
	if !ok {
		return q.value, unit
	}
	factor, _ := parseDecimal(s.factor)
	base := s.base
	if base == "mo" {
		base = "ucum-mo" // a UCUM year is 365.25 days, a calendar year is not
	}
	return q.value.mul(factor), base
}

func (q Quantity) months(unit string) (Decimal, string) {
	if unit == "year" {
		return q.value.mul(decimalOf(12)), "month"
	}
	return q.value, unit
}

// compare orders two quantities; known is false if their units do not go
// together.
func (q Quantity) compare(o Quantity) (order int, known bool) {
	a, x := q.canonical()
	b, y := o.canonical()
	return a.cmp(b), x == y
}
