package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// source is what is read of one package.
type source struct {
	structures []*definition
	valueSets  []*valueSet
	systems    []*codeSystem
	parameters []*parameter
}

type definition struct {
	URL, Name, Kind, Type, Derivation, BaseDefinition string
	Abstract                                          bool
	Context                                           []struct{ Type, Expression string }
	Snapshot                                          struct{ Element []*element }
}

type element struct {
	ID, Path, Max, ContentReference string
	Min                             int
	IsSummary, IsModifier           bool
	SliceName                       string
	Type                            []typeRef
	Base                            struct {
		Min int
		Max string
	}
	Binding *struct {
		Strength, ValueSet string
	}
	Constraint []struct{ Key, Severity, Human, Expression string }
	Slicing    *struct {
		Rules         string
		Discriminator []struct{ Type, Path string }
	}
	value string // JSON of fixed[x] or pattern[x]
	fixed bool
}

type typeRef struct {
	Code          string
	TargetProfile []string
	Profile       []string
	Extension     []struct{ URL, ValueUrl, ValueUri string }
}

// UnmarshalJSON also finds fixed[x] and pattern[x], whose names vary.
func (e *element) UnmarshalJSON(text []byte) error {
	type plain element
	if err := json.Unmarshal(text, (*plain)(e)); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for name, value := range all {
		if strings.HasPrefix(name, "fixed") || strings.HasPrefix(name, "pattern") {
			e.value, e.fixed = string(value), strings.HasPrefix(name, "fixed")
		}
	}
	return nil
}

type valueSet struct {
	URL, Name string
	Compose   struct{ Include, Exclude []include }
}

type include struct {
	System   string
	ValueSet []string
	Concept  []struct{ Code string }
	Filter   []struct{ Property, Op, Value string }
}

type codeSystem struct {
	URL, Content  string
	CaseSensitive *bool
	Concept       []*concept
}

type parameter struct {
	URL, Code, Type string
	Base            []string
}

type concept struct {
	Code     string
	Concept  []*concept
	Property []struct{ Code, ValueCode string }
}

func (s *source) read(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open definitions: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("open definitions: %w", err)
	}
	for archive := tar.NewReader(z); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read definitions: %w", err)
		}
		if strings.Contains(header.Name, "/example/") || path.Ext(header.Name) != ".json" {
			continue
		}
		if err := s.take(path.Base(header.Name), json.NewDecoder(archive)); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	slices.SortFunc(s.structures, func(a, b *definition) int { return strings.Compare(a.URL, b.URL) })
	slices.SortFunc(s.valueSets, func(a, b *valueSet) int { return strings.Compare(a.URL, b.URL) })
	slices.SortFunc(s.systems, func(a, b *codeSystem) int { return strings.Compare(a.URL, b.URL) })
	return nil
}

func (s *source) take(name string, d *json.Decoder) error {
	switch kind, _, _ := strings.Cut(name, "-"); kind {
	case "StructureDefinition":
		v := &definition{}
		s.structures = append(s.structures, v)
		return d.Decode(v)
	case "SearchParameter":
		v := &parameter{}
		s.parameters = append(s.parameters, v)
		return d.Decode(v)
	case "ValueSet":
		v := &valueSet{}
		s.valueSets = append(s.valueSets, v)
		return d.Decode(v)
	case "CodeSystem":
		v := &codeSystem{}
		s.systems = append(s.systems, v)
		return d.Decode(v)
	}
	return nil
}
