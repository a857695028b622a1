package hl7

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// KeyOf is a message's name: the hash of its bytes. The same message sent
// again has the same name; another message under the same MSH-10 has not.
func KeyOf(raw []byte) [32]byte { return sha256.Sum256(raw) }

// AsideType is the FHIR type of what SetAside writes.
const AsideType = "DocumentReference"

// systemReason is the system of our reasons, in what is set aside.
const systemReason = "urn:x-abaton:intake-reason"

// SetAside is a message as it lies in the quarantine, with the reason and the
// time: a DocumentReference that holds it whole.
func SetAside(raw []byte, why *Refusal, now time.Time) []byte {
	o := object{{"resourceType", AsideType}, {"status", "current"}}
	o.put("type", object{{"coding", list{object{{"system", systemReason}, {"code", string(why.Reason)}}}}})
	o.put("date", now.UTC().Format(time.RFC3339))
	o.put("description", why.Place)
	o.put("content", list{object{{"attachment", object{{"contentType", ContentType}, {"data", base64.StdEncoding.EncodeToString(raw)}}}}})
	return o.bytes()
}

// An Aside is what SetAside wrote.
type Aside struct {
	Raw     []byte
	Refusal Refusal
	Date    string
}

// ErrAside says that a resource is not what SetAside writes.
var ErrAside = errors.New("not a message that was set aside")

// ParseAside reads what SetAside wrote.
func ParseAside(content []byte) (*Aside, error) {
	r, err := fhir.ParseResource(content)
	if err != nil || r.Type != AsideType {
		return nil, ErrAside
	}
	a := &Aside{Date: r.Get("date").Text(), Refusal: Refusal{Place: r.Get("description").Text()}}
	for coding := range r.Path("type", "coding").Each() {
		if coding.Get("system").Is(systemReason) {
			a.Refusal.Reason = Reason(coding.Get("code").Text())
		}
	}
	for part := range r.Get("content").Each() {
		if a.Raw, err = base64.StdEncoding.DecodeString(part.Path("attachment", "data").Text()); err != nil {
			return nil, ErrAside
		}
	}
	if a.Refusal.Reason == "" {
		return nil, ErrAside
	}
	return a, nil
}

// retrySegment marks a message that its sender took out of the quarantine.
const retrySegment = "ZAB|retry"

// MarkRetry is a message marked as one that was set aside before: once it is
// filed it is taken off the list.
func MarkRetry(raw []byte) []byte {
	return append(append(bytes.Clone(raw), '\r'), retrySegment...)
}

// CutRetry takes the mark off again.
func CutRetry(raw []byte) (message []byte, retry bool) {
	return bytes.CutSuffix(raw, []byte("\r"+retrySegment))
}
