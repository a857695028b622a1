package fhir

import "encoding/json"

// binaryText is a Binary as this room writes one.
type binaryText struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id,omitempty"`
	Meta         *binaryMeta `json:"meta,omitempty"`
	ContentType  string      `json:"contentType"`
	Context      *binaryRef  `json:"securityContext,omitempty"`
	Base64       string      `json:"data,omitempty"`
}

type binaryMeta struct {
	Tag []binaryTag `json:"tag"`
}

type binaryTag struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type binaryRef struct {
	Reference string `json:"reference"`
}

// BinaryStub is a Binary without its data, as lists show one whose content is
// kept apart; the tag SUBSETTED says so (R4, Resource.meta). about is its
// securityContext, or empty.
func BinaryStub(id, contentType, about string) []byte {
	b := newBinaryText(id, contentType, about)
	b.Meta = &binaryMeta{Tag: []binaryTag{{"http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED"}}}
	return b.marshal()
}

// BinaryWith is a Binary with this text as its data.
func BinaryWith(id, contentType, about, text string) []byte {
	b := newBinaryText(id, contentType, about)
	b.Base64 = text
	return b.marshal()
}

func newBinaryText(id, contentType, about string) *binaryText {
	b := &binaryText{ResourceType: "Binary", ID: id, ContentType: contentType}
	if about != "" {
		b.Context = &binaryRef{about}
	}
	return b
}

func (b *binaryText) marshal() []byte {
	text, err := json.Marshal(b)
	if err != nil {
		panic("fhir: a Binary of texts always encodes")
	}
	return text
}
