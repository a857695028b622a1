package path

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

// onText is a function of one string. Without one it gives nothing.
func onText(f func(r *run, s string) (Collection, error)) function {
	return plainly(func(r *run, in Collection) (Collection, error) {
		s, ok, err := oneText(in)
		if err != nil || !ok {
			return nil, err
		}
		if err := r.step(len(s) / 64); err != nil {
			return nil, err
		}
		return f(r, s)
	})
}

// onTexts is a function of a string and string arguments.
func onTexts(least, most int, f func(r *run, s string, args []string) (Collection, error)) function {
	return function{least, most, func(r *run, at frame, in Collection, args []form) (Collection, error) {
		s, ok, err := oneText(in)
		if err != nil || !ok {
			return nil, err
		}
		texts := make([]string, len(args))
		for i, arg := range args {
			c, err := r.eval(arg, at)
			if err != nil {
				return nil, err
			}
			if texts[i], ok, err = oneText(c); err != nil || !ok {
				return nil, err
			}
		}
		if err := r.step(len(s) / 64); err != nil {
			return nil, err
		}
		return f(r, s, texts)
	}}
}

func oneText(c Collection) (string, bool, error) {
	it, ok, err := one(c)
	if err != nil || !ok {
		return "", false, err
	}
	switch v := it.plain().(type) {
	case string:
		return v, true, nil
	case Moment:
		if it.lit == nil { // a FHIR date is read as its text
			return v.String(), true, nil
		}
	case nil:
		if it.extra.Kind() != 0 {
			return "", false, nil
		}
	}
	return "", false, fault("no string where one belongs")
}

func textFunctions() map[string]function {
	return map[string]function{
		"startsWith": onTexts(1, 1, func(_ *run, s string, a []string) (Collection, error) {
			return boolean(strings.HasPrefix(s, a[0])), nil
		}),
		"endsWith": onTexts(1, 1, func(_ *run, s string, a []string) (Collection, error) {
			return boolean(strings.HasSuffix(s, a[0])), nil
		}),
		"contains": onTexts(1, 1, func(_ *run, s string, a []string) (Collection, error) { return boolean(strings.Contains(s, a[0])), nil }),
		"indexOf": onTexts(1, 1, func(_ *run, s string, a []string) (Collection, error) {
			return single(runeIndex(s, strings.Index(s, a[0]))), nil
		}),
		"lastIndexOf": onTexts(1, 1, func(_ *run, s string, a []string) (Collection, error) {
			return single(runeIndex(s, strings.LastIndex(s, a[0]))), nil
		}),
		"upper":          onText(func(r *run, s string) (Collection, error) { return r.string(strings.ToUpper(s)) }),
		"lower":          onText(func(r *run, s string) (Collection, error) { return r.string(strings.ToLower(s)) }),
		"trim":           onText(func(r *run, s string) (Collection, error) { return r.string(strings.TrimSpace(s)) }),
		"length":         onText(func(_ *run, s string) (Collection, error) { return single(int64(utf8.RuneCountInString(s))), nil }),
		"toChars":        onText(toChars),
		"substring":      {1, 2, substring},
		"replace":        onTexts(2, 2, replace),
		"matches":        onTexts(1, 2, func(r *run, s string, a []string) (Collection, error) { return r.matches(s, a[0]) }),
		"matchesFull":    onTexts(1, 2, func(r *run, s string, a []string) (Collection, error) { return r.matches(s, `\A(?:`+a[0]+`)\z`) }),
		"replaceMatches": onTexts(2, 2, replaceMatches),
		"split":          onTexts(1, 1, split),
		"join":           {0, 1, join},
		"encode":         onTexts(1, 1, encode),
		"decode":         onTexts(1, 1, decode),
		"escape":         onTexts(1, 1, escapeFor),
		"unescape":       onTexts(1, 1, unescapeFor),
	}
}

// runeIndex turns a byte index into one of characters.
func runeIndex(s string, at int) int64 {
	if at < 0 {
		return -1
	}
	return int64(utf8.RuneCountInString(s[:at]))
}

func toChars(r *run, s string) (out Collection, err error) {
	if err := r.step(len(s)); err != nil {
		return nil, err
	}
	for _, c := range s {
		out = append(out, Item{lit: string(c)})
	}
	return out, nil
}

func substring(r *run, at frame, in Collection, args []form) (Collection, error) {
	s, ok, err := oneText(in)
	if err != nil || !ok {
		return nil, err
	}
	start, ok, err := r.integer(args[0], at)
	if err != nil || !ok {
		return nil, err
	}
	runes := []rune(s)
	length := int64(len(runes))
	if start < 0 || start >= length {
		return nil, r.step(len(s) / 64)
	}
	if len(args) == 2 {
		n, ok, err := r.integer(args[1], at)
		if err != nil {
			return nil, err
		}
		if ok {
			length = min(length, start+max(min(n, length), 0))
		}
	}
	return r.string(string(runes[start:length]))
}

func replace(r *run, s string, a []string) (Collection, error) {
	if len(a[1]) > len(a[0]) && (strings.Count(s, a[0]))*(len(a[1])-len(a[0]))+len(s) > textBytesMax {
		return nil, ErrBudget
	}
	return r.string(strings.ReplaceAll(s, a[0], a[1]))
}

// pattern compiles a regular expression; a dot also matches the line end.
// Go's engine takes time linear in the text, whatever the expression.
func (r *run) pattern(source string) (*regexp.Regexp, error) {
	if len(source) > patternBytesMax {
		return nil, fault("a regular expression that is too long")
	}
	if err := r.step(1 + len(source)/4); err != nil {
		return nil, err
	}
	re, err := regexp.Compile("(?s)" + source)
	if err != nil {
		return nil, fault("a regular expression that is none, or of a kind that is not supported")
	}
	return re, nil
}

func (r *run) matches(s, source string) (Collection, error) {
	re, err := r.pattern(source)
	if err != nil {
		return nil, err
	}
	return boolean(re.MatchString(s)), r.step(len(s))
}

func replaceMatches(r *run, s string, a []string) (Collection, error) {
	if a[0] == "" {
		return single(s), nil
	}
	re, err := r.pattern(a[0])
	if err != nil {
		return nil, err
	}
	if len(re.FindAllStringIndex(s, -1))*len(a[1]) > textBytesMax {
		return nil, ErrBudget
	}
	return r.string(re.ReplaceAllString(s, braces.ReplaceAllString(a[1], "$${$1}")))
}

// braces turns $1 and $name into Go's ${1}, so that what follows is not
// taken for a part of the name.
var braces = regexp.MustCompile(`\$(\d+|\{\w+\})`)

func split(r *run, s string, a []string) (out Collection, err error) {
	parts := strings.Split(s, a[0])
	if err := r.step(len(parts)); err != nil {
		return nil, err
	}
	for _, part := range parts {
		out = append(out, Item{lit: part})
	}
	return out, nil
}

func join(r *run, at frame, in Collection, args []form) (Collection, error) {
	separator := ""
	if len(args) == 1 {
		c, err := r.eval(args[0], at)
		if err != nil {
			return nil, err
		}
		if separator, _, err = oneText(c); err != nil {
			return nil, err
		}
	}
	var b strings.Builder
	for i, it := range in {
		s, ok := it.plain().(string)
		if !ok {
			return nil, fault("no string where one belongs")
		}
		if i > 0 {
			b.WriteString(separator)
		}
		if b.WriteString(s); b.Len() > textBytesMax {
			return nil, ErrBudget
		}
	}
	return r.string(b.String())
}

func encode(r *run, s string, a []string) (Collection, error) {
	switch a[0] {
	case "hex":
		return r.string(hex.EncodeToString([]byte(s)))
	case "base64":
		return r.string(base64.StdEncoding.EncodeToString([]byte(s)))
	case "urlbase64":
		return r.string(base64.URLEncoding.EncodeToString([]byte(s)))
	}
	return nil, nil
}

func decode(r *run, s string, a []string) (Collection, error) {
	var out []byte
	var err error
	switch a[0] {
	case "hex":
		out, err = hex.DecodeString(s)
	case "base64":
		out, err = base64.StdEncoding.DecodeString(s)
	case "urlbase64":
		out, err = base64.URLEncoding.DecodeString(s)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fault("a text that is not so encoded")
	}
	return r.string(string(out))
}

func escapeFor(r *run, s string, a []string) (Collection, error) {
	switch a[0] {
	case "html":
		return r.string(strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", `"`, "&quot;", "'", "&#39;").Replace(s))
	case "json":
		return r.string(strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s))
	}
	return nil, nil
}

func unescapeFor(r *run, s string, a []string) (Collection, error) {
	switch a[0] {
	case "html":
		return r.string(html.UnescapeString(s))
	case "json":
		return r.string(strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\/`, "/").Replace(s))
	}
	return nil, nil
}
