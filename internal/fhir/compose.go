package fhir

import (
	"strconv"
	"time"
)

// An OutBundle is a Bundle to be written. Its Bytes are compact JSON in which
// entry resources stand byte for byte.
type OutBundle struct {
	Kind      string    // searchset, history, transaction-response, batch-response, collection
	ID        string    // optional
	Timestamp time.Time // optional; zero writes none
	Total     int       // of searchset and history; negative writes none
	Self      string    // link; empty writes none
	Next      string
	Entries   []OutEntry
}

// An OutEntry is one entry. Of the parts, those that are zero are not written.
type OutEntry struct {
	FullURL  string
	Resource []byte // strict JSON; not checked again
	Search   string // search.mode: match, include or outcome
	Method   string // request, of a history
	URL      string
	Status   string // response, e.g. "201 Created"
	Location string
	ETag     string
	Modified time.Time
	Outcome  []byte // response.outcome, an OperationOutcome
}

// ETag is the weak entity tag of a version: W/"versionId".
func ETag(versionID string) string { return `W/"` + versionID + `"` }

// Bytes is the Bundle.
func (b OutBundle) Bytes() []byte {
	size := 256
	for i := range b.Entries {
		size += len(b.Entries[i].Resource) + len(b.Entries[i].Outcome) + 256
	}
	out := append(make([]byte, 0, size), `{"resourceType":"Bundle"`...)
	out = appendMember(out, "id", b.ID)
	out = appendMember(out, "type", b.Kind)
	if !b.Timestamp.IsZero() {
		out = appendMember(out, "timestamp", Instant(b.Timestamp))
	}
	if (b.Kind == "searchset" || b.Kind == "history") && b.Total >= 0 {
		out = strconv.AppendInt(append(out, `,"total":`...), int64(b.Total), 10)
	}
	out = b.links(out)
	if len(b.Entries) == 0 {
		return append(out, '}') // an empty array is no valid FHIR
	}
	out = append(out, `,"entry":[`...)
	for i := range b.Entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = b.Entries[i].append(out)
	}
	return append(out, "]}"...)
}

func (b OutBundle) links(out []byte) []byte {
	if b.Self == "" && b.Next == "" {
		return out
	}
	out = append(out, `,"link":[`...)
	if b.Self != "" {
		out = append(appendText(append(out, `{"relation":"self","url":`...), b.Self), '}')
	}
	if b.Next != "" {
		if b.Self != "" {
			out = append(out, ',')
		}
		out = append(appendText(append(out, `{"relation":"next","url":`...), b.Next), '}')
	}
	return append(out, ']')
}

func (e *OutEntry) append(out []byte) []byte {
	start := len(out)
	out = appendMember(append(out, '{'), "fullUrl", e.FullURL)
	if e.Resource != nil {
		out = append(append(out, `,"resource":`...), e.Resource...)
	}
	if e.Search != "" {
		out = append(appendText(append(out, `,"search":{"mode":`...), e.Search), '}')
	}
	if e.Method != "" {
		out = appendText(append(out, `,"request":{"method":`...), e.Method)
		out = append(appendMember(out, "url", e.URL), '}')
	}
	out = e.response(out)
	if len(out) > start+1 && out[start+1] == ',' { // the first member brought its comma
		out = append(out[:start+1], out[start+2:]...)
	}
	return append(out, '}')
}

func (e *OutEntry) response(out []byte) []byte {
	if e.Status == "" {
		return out
	}
	out = appendText(append(out, `,"response":{"status":`...), e.Status)
	out = appendMember(out, "location", e.Location)
	out = appendMember(out, "etag", e.ETag)
	if !e.Modified.IsZero() {
		out = appendMember(out, "lastModified", Instant(e.Modified))
	}
	if e.Outcome != nil {
		out = append(append(out, `,"outcome":`...), e.Outcome...)
	}
	return append(out, '}')
}

// appendMember appends ,"name":"text", and nothing if the text is empty.
func appendMember(out []byte, name, text string) []byte {
	if text == "" {
		return out
	}
	return appendText(append(appendText(append(out, ','), name), ':'), text)
}
