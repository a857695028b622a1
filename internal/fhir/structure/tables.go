package structure

// Tables is the form in which the definitions are embedded. The generator
// writes it, Build reads it.
type Tables struct {
	Types      []TypeRow      `json:"types"`
	Rules      []RuleRow      `json:"rules"`
	ValueSets  []ValueSetRow  `json:"valueSets"`
	Systems    []SystemRow    `json:"systems"`
	Extensions []ExtensionRow `json:"extensions"`
	Profiles   []ProfileRow   `json:"profiles"`
	Parameters []Parameter    `json:"parameters"`
}

// TypeRow is a Type.
type TypeRow struct {
	Name     string       `json:"n"`
	Kind     Kind         `json:"k"`
	Abstract bool         `json:"a,omitempty"`
	Base     string       `json:"b,omitempty"`
	Elements []ElementRow `json:"e,omitempty"`
	Rules    []int        `json:"r,omitempty"` // indexes into Tables.Rules
}

// ElementRow is an Element.
type ElementRow struct {
	Name     string   `json:"n"`
	Choice   bool     `json:"c,omitempty"`
	Min      int      `json:"m,omitempty"`
	Max      int      `json:"x"`
	Types    []string `json:"t,omitempty"`
	Targets  []string `json:"g,omitempty"`
	Strength string   `json:"s,omitempty"`
	ValueSet string   `json:"v,omitempty"`
	Rules    []int    `json:"r,omitempty"`
	Summary  bool     `json:"u,omitempty"`
}

// RuleRow is a Rule.
type RuleRow struct {
	Key        string `json:"k"`
	Warning    bool   `json:"w,omitempty"`
	Human      string `json:"h"`
	Expression string `json:"x"`
}

// ValueSetRow is what a value set holds.
type ValueSetRow struct {
	URL   string              `json:"u"`
	Name  string              `json:"n,omitempty"`
	Open  bool                `json:"o,omitempty"`
	Whole []string            `json:"w,omitempty"` // systems of which it holds all codes
	Codes map[string][]string `json:"c,omitempty"` // by system
}

// SystemRow is a complete code system.
type SystemRow struct {
	URL    string   `json:"u"`
	Folded bool     `json:"f,omitempty"`
	Codes  []string `json:"c"`
}

// ExtensionRow is an Extension.
type ExtensionRow struct {
	URL      string   `json:"u"`
	Contexts []string `json:"c,omitempty"`
	Types    []string `json:"t,omitempty"`
	Modifier bool     `json:"m,omitempty"`
}
