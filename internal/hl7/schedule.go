package hl7

import (
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// scheduling maps SIU: SCH with its resources as an Appointment
// (message-siu-s12-to-bundle).
func (x *mapping) scheduling() error {
	status := ""
	switch x.h.Event {
	case "S12", "S13", "S14", "S16", "S18", "S19", "S20", "S21":
		status = "booked"
	case "S15":
		status = "cancelled"
	case "S17", "S22":
		status = "entered-in-error"
	case "S26":
		status = "noshow"
	default:
		return refuse(ReasonUnsupported, "MSH-9")
	}
	if err := x.subject(); err != nil {
		return err
	}
	sch := x.m.First("SCH")
	id := x.entity(sch.Field(2), "appointments")
	if id.Value == "" {
		id = x.entity(sch.Field(1), "appointments")
	}
	if id.Value == "" {
		return refuse(ReasonIncomplete, "SCH-2")
	}
	if own := appointmentStatus(sch.Field(25).Text()); own != "" && status == "booked" {
		status = own
	}
	start, end, minutes := x.times(sch)
	if (start == "" || end == "") && status != "cancelled" { // app-3
		return refuse(ReasonIncomplete, "SCH-11")
	}
	o := object{{"identifier", list{identifier(id)}}, {"status", status}}
	o.put("serviceType", x.services())
	o.put("appointmentType", x.concept(sch.Field(8), "http://terminology.hl7.org/CodeSystem/v2-0276"))
	o.put("reasonCode", concepts(x.concept(sch.Field(7), "")))
	if start != "" && end != "" {
		o.put("start", start)
		o.put("end", end)
	}
	o.put("minutesDuration", minutes)
	o.put("participant", x.participants())
	x.add("Appointment", query(id), false, o)
	return nil
}

// times are start, end and length: of SCH-11, else of the first resource that
// has a start.
func (x *mapping) times(sch Segment) (start, end string, minutes number) {
	minutes = inMinutes(sch.Field(9).Text(), sch.Field(10).Text())
	from, to := sch.Field(11).Part(4).Text(), sch.Field(11).Part(5).Text()
	for _, s := range x.m.segments {
		if from != "" {
			break
		}
		switch s.Name {
		case "AIS":
			from, minutes = s.Field(4).Text(), either(minutes, inMinutes(s.Field(7).Text(), s.Field(8).Text()))
		case "AIL", "AIP", "AIG":
			at := map[string]int{"AIL": 6, "AIP": 6, "AIG": 8}[s.Name]
			from, minutes = s.Field(at).Text(), either(minutes, inMinutes(s.Field(at+3).Text(), s.Field(at+4).Text()))
		}
	}
	start, end = instant(from, x.o.Zone), instant(to, x.o.Zone)
	if start != "" && end == "" && minutes != "" {
		n, err := strconv.Atoi(string(minutes))
		if began, _, ok := stampOf(from, x.o.Zone); ok && err == nil {
			end = began.Add(time.Duration(n) * time.Minute).Format(time.RFC3339)
		}
	}
	return start, end, minutes
}

func either(a, b number) number {
	if a != "" {
		return a
	}
	return b
}

// inMinutes is a duration of whole minutes, "" for any other: at most a year.
func inMinutes(value, unit string) number {
	const most = 366 * 24 * 60
	n, err := strconv.Atoi(value)
	if err != nil || n <= 0 || n > most {
		return ""
	}
	switch strings.ToLower(unit) {
	case "", "m", "min", "minute", "minutes":
	case "h", "hr", "hour", "hours":
		n *= 60
	case "s", "sec", "seconds":
		if n%60 != 0 {
			return ""
		}
		n /= 60
	default:
		return ""
	}
	if n > most {
		return ""
	}
	return number(strconv.Itoa(n))
}

// services are AIS-3.
func (x *mapping) services() (all list) {
	for _, s := range x.m.segments {
		if s.Name == "AIS" {
			all.add(x.concept(s.Field(3), ""))
		}
	}
	return all
}

// participants are the patient, people (AIP), places (AIL) and things (AIG).
func (x *mapping) participants() list {
	all := list{participant(x.patient)}
	for _, s := range x.m.segments {
		var who object
		switch s.Name {
		case "AIP":
			who = x.professional(s.Field(3).First())
		case "AIL":
			who = place(s.Field(3))
		case "AIG":
			who = reference("Device", fhir.Code{Value: s.Field(3).Part(1).Text()}, s.Field(3).Part(2).Text())
		}
		if who != nil {
			all.add(participant(who))
		}
	}
	return all
}

func participant(actor object) object {
	return object{{"actor", actor}, {"required", "required"}, {"status", "accepted"}}
}
