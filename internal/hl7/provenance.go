package hl7

import (
	"encoding/base64"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// ContentType is how a message stands in an attachment.
const ContentType = "x-application/hl7-v2+er7"

// provenance adds who sent what, with the message itself inside: what no
// mapping took up is not lost, and a clinician's list of documents is not full
// of messages (MSH as Provenance, segment-msh-to-provenance).
func (x *mapping) provenance() string {
	var targets list
	for i := range x.entries {
		targets.add(object{{"reference", x.entries[i].url}})
	}
	msh := x.m.First("MSH")
	recorded := instant(msh.Field(7).Text(), x.o.Zone)
	if recorded == "" {
		recorded = x.o.Received.UTC().Format(time.RFC3339)
	}
	original := object{
		{"resourceType", "DocumentReference"}, {"id", "original"}, {"status", "current"},
		{"masterIdentifier", identifier(fhir.Code{System: x.own("messages"), Value: x.h.Control})},
		{"content", list{object{{"attachment", object{{"contentType", ContentType}, {"data", base64.StdEncoding.EncodeToString(x.m.raw)}}}}}},
	}
	body := object{{"contained", list{original}}, {"target", targets}, {"recorded", recorded}}
	body.put("activity", object{{"coding", list{object{{"system", systemEvent}, {"code", x.h.Event}}}}})
	body.put("agent", list{x.sender(msh)})
	body.put("entity", list{object{{"role", "source"}, {"what", object{{"reference", "#original"}}}}})
	return x.add("Provenance", "", true, body)
}

// sender is the application and facility that a message comes from.
func (x *mapping) sender(msh Segment) object {
	application, facility := msh.Field(3).Part(1).Text(), msh.Field(4).Part(1).Text()
	if application == "" {
		application = "unnamed application"
	}
	agent := object{{"type", object{{"coding", list{object{{"system", systemProvenance}, {"code", "author"}}}}}}}
	agent.put("who", reference("Device", fhir.Code{System: x.own("applications"), Value: application}, application))
	agent.put("onBehalfOf", reference("Organization", fhir.Code{}, facility))
	return agent
}
