package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/abaton-health/abaton"
)

// vocabulary is what the rules of a text speak of: a simulation asks about each.
type vocabulary struct {
	words   map[string]bool           // names that may be roles
	courses map[string]bool           // trainings
	numbers map[string]map[int64]bool // what each attribute is compared with
}

func newVocabulary(all ...*Rules) *vocabulary {
	v := &vocabulary{words: make(map[string]bool), courses: make(map[string]bool), numbers: make(map[string]map[int64]bool)}
	for _, r := range all {
		for i := range r.rules {
			for _, c := range (*ast.Policy)(r.rules[i].cedar.AST()).Conditions {
				ast.Inspect(ast.NewNode(c.Body), v.note)
			}
		}
	}
	for word := range v.words {
		if abaton.Purpose(word).Valid() || v.courses[word] {
			delete(v.words, word)
		}
	}
	return v
}

func (v *vocabulary) note(n ast.IsNode) bool {
	switch n := n.(type) {
	case ast.NodeValue:
		if word, ok := n.Value.(types.String); ok {
			v.words[string(word)] = true
		}
	case ast.NodeTypeHasTag:
		v.course(n.Right)
	case ast.NodeTypeGetTag:
		v.course(n.Right)
	}
	if left, right, ok := compared(n); ok {
		v.number(left, right)
		v.number(right, left)
	}
	return true
}

func (v *vocabulary) course(n ast.IsNode) {
	if value, ok := n.(ast.NodeValue); ok {
		if word, ok := value.Value.(types.String); ok {
			v.courses[string(word)] = true
		}
	}
}

// number notes that an attribute stands beside a literal.
func (v *vocabulary) number(attribute, literal ast.IsNode) {
	a, ok := attribute.(ast.NodeTypeAccess)
	value, isValue := literal.(ast.NodeValue)
	if !ok || !isValue {
		return
	}
	if n, ok := value.Value.(types.Long); ok {
		name := string(a.Value)
		if v.numbers[name] == nil {
			v.numbers[name] = make(map[int64]bool)
		}
		v.numbers[name][int64(n)] = true
	}
}

// compared are the two sides of a comparison.
func compared(n ast.IsNode) (left, right ast.IsNode, ok bool) {
	switch n := n.(type) {
	case ast.NodeTypeLessThan:
		return n.Left, n.Right, true
	case ast.NodeTypeLessThanOrEqual:
		return n.Left, n.Right, true
	case ast.NodeTypeGreaterThan:
		return n.Left, n.Right, true
	case ast.NodeTypeGreaterThanOrEqual:
		return n.Left, n.Right, true
	case ast.NodeTypeEquals:
		return n.Left, n.Right, true
	case ast.NodeTypeNotEquals:
		return n.Left, n.Right, true
	}
	return nil, nil, false
}

// around are the numbers an attribute is compared with and their neighbours,
// from least to most, within bounds.
func (v *vocabulary) around(attribute string, least, most int64) (all []int64) {
	for n := range v.numbers[attribute] {
		for _, at := range []int64{n - 1, n, n + 1} {
			if at >= least && at <= most {
				all = append(all, at)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func sorted(set map[string]bool) (all []string) {
	for word := range set {
		all = append(all, word)
	}
	slices.Sort(all)
	return all
}
