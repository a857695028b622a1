package fhir

import (
	"strconv"
	"strings"
)

// A Param is one name and value of a search query, decoded.
type Param struct{ Name, Value string }

// ParseQuery takes an application/x-www-form-urlencoded query apart. Errors
// are *OutcomeError of status 400.
func ParseQuery(query string) ([]Param, error) {
	if len(query) > QueryBytesMax {
		return nil, refuse(statusBadRequest, "too-long", "", "the query is too long; use POST _search in parts")
	}
	var params []Param
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, ok1 := unquery(name)
		v, ok2 := unquery(value)
		if !ok1 || !ok2 || n == "" {
			return nil, refuse(statusBadRequest, "invalid", "", "the query is not well formed; encode it as a URL query")
		}
		if params = append(params, Param{n, v}); len(params) > QueryParametersMax {
			return nil, refuse(statusBadRequest, "too-costly", "", "the query has too many parameters; use fewer")
		}
	}
	return params, nil
}

// unquery decodes percent signs and plus signs.
func unquery(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			b, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			out = append(out, byte(b))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out), true
}
