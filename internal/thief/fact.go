package thief

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Fact is a piece of text that stands in a record. What is its kind, for
// reports; Text is never printed.
type Fact struct {
	What string
	Text string
}

// Bounds of facts: shorter text could stand in random bytes by chance, longer
// would miss records cut in the middle; and so many facts are enough to meet
// every record of an import.
const (
	factBytesMin = 8
	factBytesMax = 16
	// FactsMax bounds the facts of one search.
	FactsMax = 20_000
)

// FactsOf gives the facts of FHIR resources: first what names the people, then
// codes and identifiers, then every other text, until there are FactsMax.
func FactsOf(resources ...json.RawMessage) ([]Fact, error) {
	byRank := make([][]Fact, len(kinds)+1)
	seen := make(map[string]bool)
	for _, r := range resources {
		d := json.NewDecoder(bytes.NewReader(r))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("read resource for facts: %w", err)
		}
		collect(v, "", func(field, text string) {
			rank := slices.Index(kinds, field)
			if rank < 0 {
				rank = len(kinds)
			}
			for _, cut := range windows(text) {
				if !seen[cut] && telling(cut) {
					seen[cut] = true
					byRank[rank] = append(byRank[rank], Fact{What: kindName(field), Text: cut})
				}
			}
		})
	}
	all := slices.Concat(byRank...)
	return append(all[:min(len(all), FactsMax-len(format))], format...), nil
}

// kinds are the fields that come first, in this order.
var kinds = []string{"family", "given", "line", "value", "id", "code", "display", "reference", "text"}

func kindName(field string) string {
	if slices.Contains(kinds, field) {
		return field
	}
	return "text"
}

// format is what every FHIR record has, whoever it is about.
var format = []Fact{
	{"format", `"resourceType"`}, {"format", "resourceType"}, {"format", "Observation"}, {"format", "Encounter/"},
	{"format", "http://loinc.org"}, {"format", "snomed.info/sct"}, {"format", "urn:uuid:"}, {"format", "hl7.org/fhir"},
}

// collect yields every string with the field it stands in.
func collect(v any, field string, yield func(field, text string)) {
	switch v := v.(type) {
	case string:
		yield(field, v)
	case json.Number:
		yield(field, v.String())
	case []any:
		for _, e := range v {
			collect(e, field, yield)
		}
	case map[string]any:
		for name, e := range v {
			collect(e, name, yield)
		}
	}
}

// distinctMin is how many different bytes a fact has. Runs of a few come out of
// wrong guesses at compressed streams.
const distinctMin = 5

func telling(text string) bool {
	different := make(map[byte]bool)
	for i := range len(text) {
		different[text[i]] = true
	}
	return len(different) >= distinctMin
}

// windows cuts a text into its first and middle bytes.
func windows(text string) []string {
	switch {
	case len(text) < factBytesMin:
		return nil
	case len(text) <= factBytesMax:
		return []string{text}
	}
	middle := (len(text) - factBytesMax) / 2
	return []string{text[:factBytesMax], text[middle : middle+factBytesMax]}
}
