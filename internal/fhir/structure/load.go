package structure

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the tables
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:generate go run ./gen -definitions ../../../../shared/data/definitions -out .

//go:embed tables.json.gz
var embedded []byte

// R4 is FHIR R4 (4.0.1). It is built at the first call.
var R4 = sync.OnceValue(func() *Set {
	t, err := Unpack(embedded)
	if err == nil {
		var s *Set
		if s, err = t.Build(); err == nil {
			return s
		}
	}
	panic("structure: the embedded tables are broken: " + err.Error()) // a test builds them
})

// Unpack reads the embedded form of the tables.
func Unpack(packed []byte) (*Tables, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack tables: %w", err)
	}
	t := &Tables{}
	d := json.NewDecoder(z)
	d.DisallowUnknownFields()
	if err := d.Decode(t); err != nil {
		return nil, fmt.Errorf("decode tables: %w", err)
	}
	return t, nil
}

// Build links the rows to a Set. It refuses names that nothing defines.
func (t *Tables) Build() (*Set, error) {
	s := &Set{types: make(map[string]*Type, len(t.Types)), extensions: make(map[string]*Extension, len(t.Extensions)),
		valueSets: make(map[string]*valueSet, len(t.ValueSets)), systems: make(map[string]*codeSystem, len(t.Systems)),
		profiles: make(map[string]*Profile, len(t.Profiles))}
	rules := make([]*Rule, len(t.Rules))
	for i, r := range t.Rules {
		rules[i] = &Rule{r.Key, r.Warning, r.Human, r.Expression}
	}
	s.rules = rules
	for i := range t.Types {
		row := &t.Types[i]
		s.types[row.Name] = &Type{Name: row.Name, Kind: row.Kind, Abstract: row.Abstract}
	}
	for i := range t.Types {
		if err := s.link(&t.Types[i], rules); err != nil {
			return nil, err
		}
	}
	for _, row := range t.Extensions {
		s.extensions[row.URL] = &Extension{row.URL, row.Contexts, row.Types, row.Modifier}
	}
	s.parameters = make(map[string]*Parameter, len(t.Parameters))
	for i := range t.Parameters {
		s.parameters[t.Parameters[i].URL] = &t.Parameters[i]
	}
	s.buildCodes(t)
	return s, s.buildProfiles(t, rules)
}

func (s *Set) link(row *TypeRow, rules []*Rule) error {
	t := s.types[row.Name]
	if row.Base != "" {
		if t.Base = s.types[row.Base]; t.Base == nil {
			return fmt.Errorf("type %s: no type %s", row.Name, row.Base)
		}
	}
	t.Rules = pick(rules, row.Rules)
	t.members = make(map[string]Member, len(row.Elements))
	for i := range row.Elements {
		e := &Element{Name: row.Elements[i].Name, Choice: row.Elements[i].Choice, Min: row.Elements[i].Min, Max: row.Elements[i].Max,
			Targets: row.Elements[i].Targets, Rules: pick(rules, row.Elements[i].Rules), Summary: row.Elements[i].Summary}
		if v := row.Elements[i].ValueSet; v != "" {
			e.Binding = &Binding{row.Elements[i].Strength, v}
		}
		for _, name := range row.Elements[i].Types {
			if name == "Resource" {
				e.resource = true
				t.members[e.Name] = Member{Element: e}
				continue
			}
			of := s.types[name]
			if of == nil {
				return fmt.Errorf("element %s.%s: no type %s", row.Name, e.Name, name)
			}
			e.Types = append(e.Types, of)
			t.members[MemberName(e, of)] = Member{e, of}
		}
		t.Elements = append(t.Elements, e)
	}
	return nil
}

// MemberName is the JSON name of an element when it has the type of.
func MemberName(e *Element, of *Type) string {
	if !e.Choice {
		return e.Name
	}
	r, n := utf8.DecodeRuneInString(of.Name)
	return e.Name + string(unicode.ToUpper(r)) + of.Name[n:]
}

func pick(rules []*Rule, indexes []int) []*Rule {
	out := make([]*Rule, 0, len(indexes))
	for _, i := range indexes {
		out = append(out, rules[i])
	}
	return out
}

func (s *Set) buildCodes(t *Tables) {
	for _, row := range t.Systems {
		c := &codeSystem{url: row.URL, folded: row.Folded, codes: make(map[string]bool, len(row.Codes))}
		for _, code := range row.Codes {
			c.codes[c.fold(code)] = true
		}
		s.systems[row.URL] = c
	}
	for _, row := range t.ValueSets {
		v := &valueSet{name: row.Name, open: row.Open, codes: map[[2]string]bool{}, plain: map[string]bool{}}
		for _, url := range row.Whole {
			if c := s.systems[url]; c != nil {
				v.whole = append(v.whole, c)
			} else {
				v.open = true
			}
		}
		for system, codes := range row.Codes {
			for _, code := range codes {
				v.codes[[2]string{system, code}], v.plain[code] = true, true
			}
		}
		s.valueSets[row.URL] = v
	}
}

func (c *codeSystem) fold(code string) string {
	if c.folded {
		return strings.ToLower(code)
	}
	return code
}

func (c *codeSystem) has(code string) bool { return c.codes[c.fold(code)] }
