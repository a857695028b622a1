package policy

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/abaton-health/abaton"
)

//go:embed abaton.cedarschema policies/*.cedar
var shipped embed.FS

// Shipped is the text of a policy that comes with this software: "solo" or
// "hospital". ErrNotShipped.
func Shipped(name string) ([]byte, error) {
	text, err := shipped.ReadFile("policies/" + name + ".cedar")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, ErrNotShipped
	}
	return text, err
}

// ErrNotShipped says that no policy of that name comes with this software.
var ErrNotShipped = errors.New("no such policy is shipped: solo and hospital are")

// SchemaText is the schema that every text is held against.
func SchemaText() ([]byte, error) { return shipped.ReadFile("abaton.cedarschema") }

// Schema says what a policy may ask about. The zero Schema accepts nothing.
type Schema struct{ validator *validate.Validator }

// NewSchema reads the shipped schema; made once, it serves for ever.
func NewSchema() (*Schema, error) {
	text, err := SchemaText()
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	var s schema.Schema
	if err := s.UnmarshalCedar(text); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return &Schema{validator: validate.New(resolved, validate.WithStrict())}, nil
}

// Limits of a text.
const (
	// RulesMax is how many rules one text may have; the hospital has 19.
	RulesMax = 128
	// PartsMax is how many operators, names and literals all rules may have.
	PartsMax = 8192
	// DepthMax is how deep brackets and choices may nest.
	DepthMax = 24
	// NumberMax bounds whole numbers in rules: with it and the bounds on facts
	// no sum in a text of that size overflows.
	NumberMax = 1 << 40
	// WhyBytesMax is the longest reason in plain words.
	WhyBytesMax = 240
)

// Error is why a text is refused, and where.
type Error struct {
	Line   int    // from 1; 0 where no line can be named
	Rule   string // its id; empty where none can be named
	Reason string
}

func (e *Error) Error() string {
	at := ""
	if e.Line > 0 {
		at = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Rule != "" {
		at += "rule " + e.Rule + ": "
	}
	return "policy: " + at + e.Reason
}

var (
	idPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	whyPattern = regexp.MustCompile(`^[ -~]+$`)
)

// Parse reads a text strictly: at most abaton.PolicyBytesMax bytes of UTF-8, at
// least one permit, every rule with an @id of its own and a @why, at most one
// @clock and no other annotation, no template, no named entity but actions, no
// multiplication, extension or pattern, and nothing that the schema's strict
// validation cannot prove safe: every optional attribute is asked for with "has"
// first. Such rules cannot err on valid facts. *Error.
func Parse(text []byte, s *Schema) (*Rules, error) {
	if s == nil || s.validator == nil {
		return nil, &Error{Reason: "no schema"}
	}
	if len(text) > abaton.PolicyBytesMax {
		return nil, &Error{Reason: fmt.Sprintf("longer than %d bytes", abaton.PolicyBytesMax)}
	}
	if !utf8.Valid(text) {
		return nil, &Error{Reason: "not UTF-8"}
	}
	if deepest(text) > DepthMax {
		return nil, &Error{Reason: fmt.Sprintf("nests deeper than %d", DepthMax)}
	}
	list, err := cedar.NewPolicyListFromBytes("", text)
	if err != nil {
		return nil, &Error{Reason: err.Error()}
	}
	if len(list) > RulesMax {
		return nil, &Error{Reason: fmt.Sprintf("more than %d rules", RulesMax)}
	}
	r := &reading{rules: &Rules{id: IDOf(text)}, schema: s}
	for _, p := range list {
		if err := r.add(p); err != nil {
			return nil, err
		}
	}
	if !r.permits {
		return nil, &Error{Reason: "no rule permits anything"}
	}
	return r.rules, nil
}

// reading is a text half read.
type reading struct {
	rules   *Rules
	schema  *Schema
	parts   int
	permits bool
	clocked bool
}

func (r *reading) add(p *cedar.Policy) error {
	line := p.Position().Line
	next := rule{cedar: p}
	for key, value := range p.Annotations() {
		if err := r.annotate(&next, string(key), string(value)); err != "" {
			return &Error{Line: line, Rule: next.id, Reason: err}
		}
	}
	if next.id == "" || next.why == "" {
		return &Error{Line: line, Rule: next.id, Reason: "every rule has an @id and a @why"}
	}
	if r.rules.Why(next.id) != "" {
		return &Error{Line: line, Rule: next.id, Reason: "the @id is used twice"}
	}
	tree := (*ast.Policy)(p.AST())
	if reason := r.narrow(tree); reason != "" {
		return &Error{Line: line, Rule: next.id, Reason: reason}
	}
	if err := r.schema.validator.Policy("", tree); err != nil {
		return &Error{Line: line, Rule: next.id, Reason: err.Error()}
	}
	r.permits = r.permits || tree.Effect == ast.EffectPermit
	r.rules.rules = append(r.rules.rules, next)
	return nil
}

func (r *reading) annotate(next *rule, key, value string) (reason string) {
	switch key {
	case "id":
		if !idPattern.MatchString(value) {
			return "an @id is small letters, digits and hyphens, at most 64"
		}
		next.id = value
	case "why":
		if len(value) > WhyBytesMax || !whyPattern.MatchString(value) {
			return fmt.Sprintf("a @why is one line of at most %d printable characters", WhyBytesMax)
		}
		next.why = value
	case "clock":
		c, ok := parseClock(value)
		if !ok || r.clocked {
			return `one @clock for all, such as "+01:00", "+01:00 eu" or "-05:00 us"`
		}
		r.rules.clock, r.clocked = c, true
	default:
		return "the annotation @" + key + " is not known"
	}
	return ""
}

// narrow refuses what the dialect has no room for.
func (r *reading) narrow(p *ast.Policy) (reason string) {
	for _, scope := range []any{p.Principal, p.Resource} {
		switch scope.(type) {
		case ast.ScopeTypeAll, ast.ScopeTypeIs:
		default:
			return "who asks and what for are named by type alone: roles and levels tell, never one person or record"
		}
	}
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			r.parts++
			if reason == "" {
				reason = outside(n)
			}
			return reason == "" && r.parts <= PartsMax
		})
	}
	if reason == "" && r.parts > PartsMax {
		reason = fmt.Sprintf("more than %d operators, names and literals", PartsMax)
	}
	return reason
}

// outside says why an expression is not in the dialect; empty if it is.
func outside(n ast.IsNode) string {
	switch n := n.(type) {
	case ast.NodeTypeMult, ast.NodeTypeNegate:
		return "no multiplication and no negation of numbers: no sum may overflow"
	case ast.NodeTypeExtensionCall:
		return "no extension functions"
	case ast.NodeTypeLike:
		return "no patterns: roles and purposes are compared whole"
	case ast.NodeTypeIn, ast.NodeTypeIsIn:
		return "no hierarchy of entities: principal and resource have none"
	case ast.NodeTypeRecord:
		return "no records but the context's"
	case ast.NodeValue:
		return outsideValue(n.Value)
	}
	return ""
}

func outsideValue(v types.Value) string {
	switch v := v.(type) {
	case types.Long:
		if v > NumberMax || v < -NumberMax {
			return fmt.Sprintf("a number over %d", int64(NumberMax))
		}
	case types.String, types.Boolean:
	default:
		return "no named entities: roles and levels tell, never one person or record"
	}
	return ""
}

// deepest is how deep brackets and choices nest outside strings and comments,
// known before anything recursive reads the text.
func deepest(text []byte) int {
	depth, most := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '/' && i+1 < len(text) && text[i+1] == '/':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ';':
			depth = 0
		case word(text, i, "if"):
			depth++ // ends with its rule: no bracket closes it
		}
		most = max(most, depth)
	}
	return most
}

// word reports whether a word stands at i alone.
func word(text []byte, i int, w string) bool {
	end := i + len(w)
	return end <= len(text) && string(text[i:end]) == w && (i == 0 || !letter(text[i-1])) && (end == len(text) || !letter(text[end]))
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}
