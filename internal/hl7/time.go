package hl7

import (
	"strings"
	"time"
)

// stampOf takes an HL7 timestamp apart: YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]
// (HL7 v2.5.1, section 2.A.22). digits is how much of it was given; zone is
// the sender's where the text names none.
func stampOf(text string, zone *time.Location) (t time.Time, digits int, ok bool) {
	body, offset := text, ""
	if at := strings.LastIndexAny(text, "+-"); at > 0 {
		body, offset = text[:at], text[at:]
	}
	whole, fraction, dotted := strings.Cut(body, ".")
	if n := len(whole); n < 4 || n > 14 || n%2 != 0 || dotted && n != 14 || len(fraction) > 9 || !isDigits(whole) || fraction != "" && !isDigits(fraction) {
		return t, 0, false
	}
	if offset != "" {
		fixed, err := time.Parse("-0700", offset)
		if err != nil || len(offset) != 5 {
			return t, 0, false
		}
		_, seconds := fixed.Zone()
		zone = time.FixedZone("", seconds)
	}
	if zone == nil {
		zone = time.UTC
	}
	layout := "20060102150405"[:len(whole)]
	t, err := time.ParseInLocation(layout, whole, zone)
	if err != nil {
		return t, 0, false
	}
	if fraction != "" {
		d, err := time.ParseDuration("0." + fraction + "s")
		if err != nil {
			return t, 0, false
		}
		t = t.Add(d)
	}
	return t, len(whole), true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// dateTime is a timestamp as a FHIR dateTime, "" if it is none. A time of day
// without minutes has no form there and is left out.
func dateTime(text string, zone *time.Location) string {
	t, digits, ok := stampOf(text, zone)
	switch {
	case !ok:
		return ""
	case digits == 4:
		return t.Format("2006")
	case digits == 6:
		return t.Format("2006-01")
	case digits < 12:
		return t.Format("2006-01-02")
	case t.Nanosecond() != 0:
		return t.Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	return t.Format(time.RFC3339)
}

// date is a timestamp as a FHIR date.
func date(text string) string {
	t, digits, ok := stampOf(text, nil)
	switch {
	case !ok:
		return ""
	case digits == 4:
		return t.Format("2006")
	case digits == 6:
		return t.Format("2006-01")
	}
	return t.Format("2006-01-02")
}

// instant is a timestamp as a FHIR instant: only one that says the minute.
func instant(text string, zone *time.Location) string {
	if _, digits, ok := stampOf(text, zone); !ok || digits < 12 {
		return ""
	}
	return dateTime(text, zone)
}

// clockTime is HHMM[SS] as a FHIR time.
func clockTime(text string) string {
	text, _, _ = strings.Cut(text, ".")
	switch {
	case !isDigits(text):
		return ""
	case len(text) == 4:
		text += "00"
	case len(text) != 6:
		return ""
	}
	t, err := time.Parse("150405", text)
	if err != nil {
		return ""
	}
	return t.Format("15:04:05")
}
