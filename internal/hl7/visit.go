package hl7

import "github.com/abaton-health/abaton/internal/fhir"

// admission maps ADT messages.
func (x *mapping) admission() error {
	switch x.h.Event {
	case "A17", "A18", "A24", "A30", "A34", "A35", "A36", "A37", "A39", "A40", "A41", "A42", "A43", "A44", "A45", "A46", "A47", "A48", "A49", "A50", "A51":
		return refuse(ReasonMerge, "MSH-9") // two patients, or numbers of one that become another's
	}
	status, person, known := admissionEvent(x.h.Event)
	if !known {
		return refuse(ReasonUnsupported, "MSH-9")
	}
	if err := x.subject(); err != nil {
		return err
	}
	if person {
		x.add("Patient", query(x.known[0]), false, x.person())
	}
	pv1 := x.m.First("PV1")
	if x.h.Event == "A28" || x.h.Event == "A31" || person && (!pv1.Is() || pv1.Field(19).Empty()) {
		return nil
	}
	return x.visit(pv1, status)
}

// admissionEvent is what an event says of a visit, and whether the message is
// about the person: only those write over the Patient.
func admissionEvent(event string) (status string, person, known bool) {
	switch event {
	case "A01", "A02", "A04", "A06", "A07", "A12", "A13":
		return "in-progress", false, true
	case "A03":
		return "finished", false, true
	case "A05", "A14":
		return "planned", false, true
	case "A11", "A27", "A38":
		return "cancelled", false, true
	case "A08", "A28", "A31":
		return "", true, true
	}
	return "", false, false
}

// corrects reports whether the message says what is true of the person now.
func (x *mapping) corrects() bool {
	_, person, _ := admissionEvent(x.h.Event)
	return x.h.Type == "ADT" && person
}

// visitID is the visit's number: PV1-19.
func (x *mapping) visitID(pv1 Segment) fhir.Code {
	f := pv1.Field(19).First()
	code, _ := x.identifierOf(f)
	if code.Value != "" && code.System == "" {
		code.System = x.own("visits")
	}
	return code
}

// visit is PV1 as an Encounter (segment-pv1-to-encounter).
func (x *mapping) visit(pv1 Segment, status string) error {
	id := x.visitID(pv1)
	if id.Value == "" {
		return refuse(ReasonIncomplete, "PV1-19")
	}
	if status == "" {
		status = "in-progress"
		if !pv1.Field(45).Empty() {
			status = "finished"
		}
	}
	pv2 := x.m.First("PV2")
	o := object{{"identifier", list{identifier(id)}}, {"status", status}}
	o.put("class", x.class(pv1.Field(2)))
	o.put("type", concepts(x.concept(pv1.Field(4), "http://terminology.hl7.org/CodeSystem/v2-0007")))
	o.put("serviceType", x.concept(pv1.Field(10), systemService))
	o.put("subject", x.patient)
	o.put("participant", x.staff(pv1))
	period := object{}
	period.put("start", dateTime(pv1.Field(44).Text(), x.o.Zone))
	period.put("end", dateTime(pv1.Field(45).Text(), x.o.Zone))
	o.put("period", period)
	o.put("reasonCode", concepts(x.concept(pv2.Field(3), "")))
	hospital := object{}
	hospital.put("admitSource", x.concept(pv1.Field(14), "http://terminology.hl7.org/CodeSystem/v2-0023"))
	hospital.put("dischargeDisposition", x.concept(pv1.Field(36), systemDischarge))
	o.put("hospitalization", hospital)
	o.put("location", x.locations(pv1))
	x.add("Encounter", query(id), false, o)
	return nil
}

// class is PV1-2; Encounter.class must be there.
func (x *mapping) class(f Field) object {
	code := f.Text()
	if mapped := encounterClass(code); mapped != "" {
		return object{{"system", systemActCode}, {"code", mapped}}
	}
	return x.coding(code, f.Part(2).Text(), f.Part(3).Text(), "http://terminology.hl7.org/CodeSystem/v2-0004")
}

// staff are attending, referring, consulting and admitting doctors.
func (x *mapping) staff(pv1 Segment) (all list) {
	for _, role := range []struct {
		field int
		code  string
	}{{7, "ATND"}, {8, "REF"}, {9, "CON"}, {17, "ADM"}} {
		for _, f := range pv1.Field(role.field).Each() {
			if who := x.professional(f); who != nil {
				all.add(object{{"type", list{object{{"coding", list{object{{"system", systemParticipation}, {"code", role.code}}}}}}}, {"individual", who}})
			}
		}
	}
	return all
}

// locations are where the patient is and, of a transfer, was.
func (x *mapping) locations(pv1 Segment) (all list) {
	if at := place(pv1.Field(3)); at != nil {
		all.add(object{{"location", at}, {"status", "active"}})
	}
	if x.h.Event == "A02" {
		if was := place(pv1.Field(6)); was != nil {
			all.add(object{{"location", was}, {"status", "completed"}})
		}
	}
	return all
}

// encounter is the visit as other resources refer to it: by its number.
func (x *mapping) encounter() object {
	return reference("Encounter", x.visitID(x.m.First("PV1")), "")
}
