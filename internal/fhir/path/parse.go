package path

import (
	"slices"
	"strings"
)

// parser reads an expression by precedence (FHIRPath 2.0, section 8).
type parser struct {
	lex   lexer
	unit  unit
	depth int
}

// Compile reads an expression of at most ExpressionBytesMax bytes. Errors are
// *SyntaxError.
func Compile(source string) (*Expression, error) {
	if len(source) > ExpressionBytesMax {
		return nil, &SyntaxError{Reason: "the expression is too long"}
	}
	p := &parser{lex: lexer{src: source}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	f, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if p.unit.sort != atEnd {
		return nil, p.fail("something after the expression")
	}
	return &Expression{source, f}, nil
}

func (p *parser) fail(reason string) error { return &SyntaxError{Offset: p.unit.at, Reason: reason} }

func (p *parser) advance() (err error) {
	p.unit, err = p.lex.next()
	return err
}

// levels of the binary operators, weakest first.
var levels = [...][]string{
	{"implies"}, {"or", "xor"}, {"and"}, {"in", "contains"}, {"=", "~", "!=", "!~"},
	{"<=", "<", ">", ">="}, {"|"}, {"is", "as"}, {"+", "-", "&"}, {"*", "/", "div", "mod"},
}

// level is the precedence of the operator at hand, from 1; 0 if it is none.
func (p *parser) level() int {
	if p.unit.sort != word && p.unit.sort != symbol {
		return 0
	}
	for i, ops := range levels {
		if slices.Contains(ops, p.unit.text) {
			return i + 1
		}
	}
	return 0
}

// expression reads operators stronger than above.
func (p *parser) expression(above int) (form, error) {
	if p.depth++; p.depth > depthMax {
		return nil, p.fail("the expression is nested too deep")
	}
	defer func() { p.depth-- }()
	left, err := p.unary()
	for err == nil {
		op, level := p.unit.text, p.level()
		if level <= above {
			return left, nil
		}
		if err = p.advance(); err != nil {
			return nil, err
		}
		if op == "is" || op == "as" {
			var name typeName
			if name, err = p.typeName(); err == nil {
				left = &typeForm{left, op == "as", name}
			}
			continue
		}
		var right form
		if right, err = p.expression(level); err == nil {
			left = &binaryForm{op, left, right}
		}
	}
	return nil, err
}

func (p *parser) typeName() (name typeName, err error) {
	parts := []string{}
	for {
		if p.unit.sort != word && p.unit.sort != quoted {
			return name, p.fail("no type where one belongs")
		}
		parts = append(parts, p.unit.text)
		if err := p.advance(); err != nil {
			return name, err
		}
		if !p.is(".") || len(parts) == 2 {
			break
		}
		if err := p.advance(); err != nil {
			return name, err
		}
	}
	if len(parts) == 2 {
		return typeName{parts[0], parts[1]}, nil
	}
	return typeName{"", parts[0]}, nil
}

func (p *parser) is(s string) bool { return p.unit.sort == symbol && p.unit.text == s }

func (p *parser) expect(s string) error {
	if !p.is(s) {
		return p.fail("a bracket is missing")
	}
	return p.advance()
}

func (p *parser) unary() (form, error) {
	if p.is("+") || p.is("-") {
		minus := p.unit.text == "-"
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.depth++; p.depth > depthMax {
			return nil, p.fail("the expression is nested too deep")
		}
		defer func() { p.depth-- }()
		of, err := p.unary()
		return &signForm{minus, of}, err
	}
	return p.chain()
}

// chain reads a term and what hangs on it by dots and brackets.
func (p *parser) chain() (form, error) {
	f, err := p.term()
	for links := 0; err == nil; links++ {
		if links > linksMax {
			return nil, p.fail("the expression is too long a chain")
		}
		switch {
		case p.is("."):
			if err = p.advance(); err == nil {
				f, err = p.invocation(f)
			}
		case p.is("["):
			var index form
			if err = p.advance(); err != nil {
				return nil, err
			}
			if index, err = p.expression(0); err == nil {
				f, err = &subscriptForm{f, index}, p.expect("]")
			}
		default:
			return f, nil
		}
	}
	return nil, err
}

func (p *parser) term() (form, error) {
	u := p.unit
	switch u.sort {
	case atEnd:
		return nil, p.fail("the expression ends early")
	case text:
		return p.done(&literal{Collection{Item{lit: u.text}}})
	case number:
		return p.number()
	case moment:
		m, ok := parseMoment(u.text, literalKind(u.text))
		if !ok {
			return nil, p.fail("a date or time that is none")
		}
		return p.done(&literal{Collection{Item{lit: m}}})
	case variable:
		return p.done(&varForm{u.text})
	case symbol:
		return p.bracket()
	case word:
		if u.text == "true" || u.text == "false" {
			return p.done(&literal{Collection{Item{lit: u.text == "true"}}})
		}
	}
	return p.invocation(nil)
}

func (p *parser) done(f form) (form, error) { return f, p.advance() }

func (p *parser) bracket() (form, error) {
	switch {
	case p.is("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		f, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		return f, p.expect(")")
	case p.is("{"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &literal{}, p.expect("}")
	}
	return nil, p.fail("no value where one belongs")
}

// number reads a number and the unit that makes it a quantity.
func (p *parser) number() (form, error) {
	source := p.unit.text
	d, ok := parseDecimal(source)
	if !ok {
		return nil, p.fail("a number with too many digits")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.unit.sort == text {
		return p.done(&literal{Collection{Item{lit: Quantity{d, p.unit.text, true}}}})
	}
	if p.unit.sort == word {
		if calendarUnit(p.unit.text) != "" {
			return p.done(&literal{Collection{Item{lit: Quantity{d, p.unit.text, false}}}})
		}
	}
	if !strings.Contains(source, ".") {
		if n, ok := d.integer(); ok {
			return &literal{Collection{Item{lit: n}}}, nil
		}
		return nil, p.fail("an integer that is too large")
	}
	return &literal{Collection{Item{lit: d}}}, nil
}

// invocation reads a name, a call, or one of the dollar words.
func (p *parser) invocation(target form) (form, error) {
	u := p.unit
	switch u.sort {
	case special:
		return p.dollar(target)
	case word, quoted:
	default:
		return nil, p.fail("no name where one belongs")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if u.sort == quoted || !p.is("(") {
		return &memberForm{target, u.text}, nil
	}
	fn, known := functions[u.text]
	if !known {
		return nil, &SyntaxError{u.at, "a function that is not known", true}
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) < fn.least || len(args) > fn.most {
		return nil, &SyntaxError{Offset: u.at, Reason: "a function with too few or too many arguments"}
	}
	return &callForm{target, u.text, fn, args}, nil
}

func (p *parser) dollar(target form) (form, error) {
	if target != nil {
		return nil, p.fail("a dollar word after a dot")
	}
	switch p.unit.text {
	case "$this":
		return p.done(thisForm{})
	case "$index":
		return p.done(indexForm{})
	case "$total":
		return p.done(totalForm{})
	}
	return nil, p.fail("an unknown dollar word")
}

func (p *parser) arguments() (args []form, err error) {
	if p.is(")") {
		return nil, p.advance()
	}
	for len(args) < argumentsMax {
		arg, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if p.unit.sort == word && (p.unit.text == "asc" || p.unit.text == "desc") { // of sort()
			if p.unit.text == "desc" {
				arg = &signForm{true, arg}
			}
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		args = append(args, arg)
		if !p.is(",") {
			return args, p.expect(")")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return nil, p.fail("too many arguments")
}
