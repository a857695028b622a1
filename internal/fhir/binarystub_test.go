package fhir

import "testing"

func TestBinaryStub(t *testing.T) {
	for _, c := range []struct {
		got, want string
	}{
		{string(BinaryStub("", "image/png", "")), `{"resourceType":"Binary","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]},"contentType":"image/png"}`},
		{string(BinaryWith("a", `x/"y`, "Patient/p", "@@")), `{"resourceType":"Binary","id":"a","contentType":"x/\"y","securityContext":{"reference":"Patient/p"},"data":"@@"}`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
		if _, err := ParseResource([]byte(c.got)); err != nil {
			t.Errorf("%s: %v", c.got, err)
		}
	}
}
