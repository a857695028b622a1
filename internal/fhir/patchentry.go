package fhir

import "encoding/base64"

// takePatch reads the JSON Patch that a Binary brings (FHIR R4,
// http.html#patch: how a patch travels in a Bundle).
func (o *Operation) takePatch(e *Entry) error {
	if e.Resource.Type != "Binary" || !e.Resource.Get("contentType").Is("application/json-patch+json") {
		return refuse(statusBadRequest, "invalid", "", "the resource of a PATCH must be a Binary with contentType application/json-patch+json; correct it")
	}
	text, err := base64.StdEncoding.DecodeString(e.Resource.Get("data").Text())
	if err != nil {
		return refuse(statusBadRequest, "value", "", "the data of the Binary is not base64; correct it")
	}
	o.Patch, err = ParsePatch(text)
	return err
}
