package cda

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Wrap is a transaction that creates a Binary with the document as it is and a
// DocumentReference to it, in the chart of Patient/id. d is nil for what is no
// CDA. The same document of the same patient always gives the same Bundle.
func Wrap(patient, contentType string, document []byte, d *Document) []byte {
	if d == nil {
		d = new(Document)
	}
	labels := d.labels()
	subject := "{\"reference\":" + quote("Patient/"+patient) + "}"
	binary := `{"resourceType":"Binary"` + labels + `,"contentType":` + quote(contentType) + `,"securityContext":` + subject +
		`,"data":"` + base64.StdEncoding.EncodeToString(document) + `"}`
	binaryURL, referenceURL := name("binary", patient, document), name("reference", patient, document)
	reference := `{"resourceType":"DocumentReference"` + labels
	if d.ID.Value != "" {
		reference += `,"masterIdentifier":{"system":` + quote(d.ID.System) + `,"value":` + quote(d.ID.Value) + `}`
	}
	reference += `,"status":"current"`
	if d.Code.Value != "" {
		reference += `,"type":{"coding":[{"system":` + quote(d.Code.System) + `,"code":` + quote(d.Code.Value) + optional("display", d.CodeDisplay) + `}]}`
	}
	reference += `,"subject":` + subject + optional("date", d.Date)
	if d.Author != "" {
		reference += `,"author":[{"display":` + quote(d.Author) + `}]`
	}
	if d.Custodian != "" {
		reference += `,"custodian":{"display":` + quote(d.Custodian) + `}`
	}
	reference += optional("description", d.Title) + `,"content":[{"attachment":{"contentType":` + quote(contentType) + `,"url":` + quote(binaryURL) +
		optional("title", d.Title) + `}}]}`
	return []byte(`{"resourceType":"Bundle","type":"transaction","entry":[` + entry(binaryURL, "Binary", binary) + "," +
		entry(referenceURL, "DocumentReference", reference) + "]}")
}

func entry(url, kind, resource string) string {
	return `{"fullUrl":` + quote(url) + `,"resource":` + resource + `,"request":{"method":"POST","url":` + quote(kind) + `}}`
}

func optional(member, value string) string {
	if value == "" {
		return ""
	}
	return `,` + quote(member) + `:` + quote(value)
}

// labels are meta with the security labels, or nothing.
func (d *Document) labels() string {
	all := ""
	if code := fhir.LabelFor(d.Category()); code != "" {
		all = `{"system":` + quote(fhir.SensitivitySystem) + `,"code":` + quote(code) + `}`
	}
	if d.Confidential == "R" || d.Confidential == "V" {
		if all != "" {
			all += ","
		}
		all += `{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":` + quote(d.Confidential) + `}`
	}
	if all == "" {
		return ""
	}
	return `,"meta":{"security":[` + all + `]}`
}

// name is a fullUrl that the content gives (RFC 9562, section 5.8).
func name(part, patient string, document []byte) string {
	content := sha256.Sum256(document)
	sum := sha256.Sum256([]byte(part + "\x00" + patient + "\x00" + string(content[:])))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// quote is a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("cda: a string always encodes")
	}
	return string(b)
}
