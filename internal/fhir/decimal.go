package fhir

import (
	"bytes"
	"strconv"
)

// equalNumbers compares two JSON number literals by value, exactly: 1.0 is 1,
// 1e2 is 100, and no digit is rounded away.
func equalNumbers(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	negativeA, digitsA, powerA, okA := decimalOf(a)
	negativeB, digitsB, powerB, okB := decimalOf(b)
	if !okA || !okB {
		return false
	}
	if len(digitsA) == 0 || len(digitsB) == 0 {
		return len(digitsA) == len(digitsB) // zero, of either sign
	}
	return negativeA == negativeB && powerA == powerB && bytes.Equal(digitsA, digitsB)
}

// decimalOf is a literal as digits without zeros at either end, times ten to
// a power. It is not ok where the exponent has more than nine digits.
func decimalOf(literal []byte) (negative bool, digits []byte, power int, ok bool) {
	if negative = literal[0] == '-'; negative {
		literal = literal[1:]
	}
	if e := bytes.IndexAny(literal, "eE"); e >= 0 {
		text := string(literal[e+1:])
		if len(text) > 10 {
			return false, nil, 0, false
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return false, nil, 0, false
		}
		power, literal = n, literal[:e]
	}
	whole, fraction, _ := bytes.Cut(literal, []byte{'.'})
	digits = append(append(digits, whole...), fraction...)
	power -= len(fraction)
	digits = bytes.TrimLeft(digits, "0")
	size := len(digits)
	digits = bytes.TrimRight(digits, "0")
	return negative, digits, power + size - len(digits), true
}
