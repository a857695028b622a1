package fhir

// A Code is a system and a value of a coding.
type Code struct{ System, Value string }

// Date is when what the resource tells of happened, as the text gives it (a
// FHIR date, dateTime or instant): the first present of a fixed list of
// elements from effective to created. "" if none is there.
func Date(r Resource) string {
	for _, name := range [...]string{"effective", "onset", "performed", "occurrence", "occurred"} {
		for _, form := range [...]string{"DateTime", "Instant", "Date"} {
			if s := r.Get(name + form).Text(); s != "" {
				return s
			}
		}
		if s := r.Path(name+"Period", "start").Text(); s != "" {
			return s
		}
	}
	for _, path := range [...][2]string{
		{"period", "start"}, {"billablePeriod", "start"}, {"authoredOn"}, {"authored"}, {"date"}, {"dateTime"},
		{"started"}, {"issued"}, {"recordedDate"}, {"recorded"}, {"assertedDate"}, {"dateAsserted"},
		{"servicedDate"}, {"whenHandedOver"}, {"whenPrepared"}, {"start"}, {"startDate"}, {"dateWritten"},
		{"identifiedDateTime"}, {"receivedTime"}, {"sent"}, {"created"}, {"collection", "collectedDateTime"},
	} {
		v := r.Get(path[0])
		if path[1] != "" {
			v = v.Get(path[1])
		}
		if s := v.Text(); s != "" {
			return s
		}
	}
	return ""
}

// Codes are up to four codings that tell what the resource is about: those
// of code first, then of its nearest kin, then of category.
func Codes(r Resource) (codes []Code) {
	for _, name := range [...]string{"code", "vaccineCode", "medicationCodeableConcept", "type", "class", "category"} {
		for v := range r.Get(name).Each() {
			if v.Get("code").Kind() == String { // a Coding itself
				codes = appendCode(codes, v)
			}
			for coding := range v.Get("coding").Each() {
				codes = appendCode(codes, coding)
			}
		}
	}
	return codes
}

func appendCode(codes []Code, coding Value) []Code {
	code := Code{coding.Get("system").Text(), coding.Get("code").Text()}
	if len(codes) == codesMax || code.Value == "" {
		return codes
	}
	return append(codes, code)
}
