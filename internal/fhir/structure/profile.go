package structure

import (
	"fmt"
	"iter"
	"maps"
)

// A Profile is what a profile asks beyond its type: the elements of its
// snapshot that differ from the base.
type Profile struct {
	URL      string
	Name     string
	Type     string
	Base     string
	Elements []*ProfileElement
}

// A ProfileElement is what a profile says of one element or slice.
type ProfileElement struct {
	ID      string // "Observation.category:VSCat.coding.system"
	Min     int
	Max     int
	Types   []string // empty: as the base
	Value   string   // JSON that the element must have (fixed) or contain (pattern)
	Fixed   bool
	Binding *Binding
	Rules   []*Rule
	Of      string // URL of the definition of an extension that stands here

	// Of an element that is sliced:
	Discriminators []Discriminator
	Closed         bool
}

// A Discriminator says how a slice is told from others.
type Discriminator struct {
	Type string `json:"t"` // value, pattern, type, exists, profile
	Path string `json:"p"`
}

// ProfileRow is a Profile.
type ProfileRow struct {
	URL      string              `json:"u"`
	Name     string              `json:"n"`
	Type     string              `json:"t"`
	Base     string              `json:"b,omitempty"`
	Elements []ProfileElementRow `json:"e"`
}

// ProfileElementRow is a ProfileElement.
type ProfileElementRow struct {
	ID             string          `json:"i"`
	Min            int             `json:"m,omitempty"`
	Max            int             `json:"x"`
	Types          []string        `json:"t,omitempty"`
	Value          string          `json:"l,omitempty"`
	Fixed          bool            `json:"f,omitempty"`
	Strength       string          `json:"s,omitempty"`
	ValueSet       string          `json:"v,omitempty"`
	Rules          []int           `json:"r,omitempty"`
	Of             string          `json:"o,omitempty"`
	Discriminators []Discriminator `json:"d,omitempty"`
	Closed         bool            `json:"c,omitempty"`
}

// Profiles yields every profile.
func (s *Set) Profiles() iter.Seq[*Profile] { return maps.Values(s.profiles) }

func (s *Set) buildProfiles(t *Tables, rules []*Rule) error {
	for _, row := range t.Profiles {
		if s.types[row.Type] == nil {
			return fmt.Errorf("profile %s: no type %s", row.URL, row.Type)
		}
		p := &Profile{URL: row.URL, Name: row.Name, Type: row.Type, Base: row.Base}
		for _, e := range row.Elements {
			element := &ProfileElement{ID: e.ID, Min: e.Min, Max: e.Max, Types: e.Types, Value: e.Value, Fixed: e.Fixed,
				Rules: pick(rules, e.Rules), Of: e.Of, Discriminators: e.Discriminators, Closed: e.Closed}
			if e.ValueSet != "" {
				element.Binding = &Binding{e.Strength, e.ValueSet}
			}
			p.Elements = append(p.Elements, element)
		}
		s.profiles[row.URL] = p
	}
	return nil
}
