package hl7

import (
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// order is one OBR with what follows it.
type order struct {
	orc, obr Segment
	notes    []Segment
	results  []result
}

type result struct {
	obx   Segment
	notes []Segment
}

// results maps ORU^R01: a DiagnosticReport for each OBR, an Observation for
// each OBX (segment-obr-to-diagnosticreport, segment-obx-to-observation).
func (x *mapping) results() error {
	if err := x.subject(); err != nil {
		return err
	}
	orders := x.orders()
	if len(orders) == 0 {
		return refuse(ReasonIncomplete, "OBR")
	}
	for _, o := range orders {
		x.declare(o.orc.Field(28))
	}
	for i := range orders {
		x.report(&orders[i])
		if len(x.entries) > ResourcesMax {
			return refuse(ReasonTooLarge, "OBX")
		}
	}
	return nil
}

// declare notes what the sender says of confidentiality.
func (x *mapping) declare(f Field) {
	for _, one := range f.Each() {
		if system, code := sensitivity(one.Text()); code != "" {
			x.labels.add(object{{"system", system}, {"code", code}})
		}
	}
}

// orders groups the segments behind PID.
func (x *mapping) orders() (all []order) {
	var orc Segment
	for _, s := range x.m.segments {
		switch s.Name {
		case "ORC":
			orc = s
		case "OBR":
			all = append(all, order{orc: orc, obr: s})
			orc = Segment{}
		case "OBX":
			if len(all) > 0 {
				last := &all[len(all)-1]
				last.results = append(last.results, result{obx: s})
			}
		case "NTE":
			if len(all) == 0 {
				continue
			}
			last := &all[len(all)-1]
			if n := len(last.results); n > 0 {
				last.results[n-1].notes = append(last.results[n-1].notes, s)
			} else {
				last.notes = append(last.notes, s)
			}
		}
	}
	return all
}

// numbers of an order: the placer's and the filler's (OBR-2, OBR-3, or ORC's).
func (x *mapping) numbers(o *order) (placer, filler fhir.Code) {
	if placer = x.entity(o.obr.Field(2), "placer"); placer.Value == "" {
		placer = x.entity(o.orc.Field(2), "placer")
	}
	if filler = x.entity(o.obr.Field(3), "filler"); filler.Value == "" {
		filler = x.entity(o.orc.Field(3), "filler")
	}
	return placer, filler
}

func (x *mapping) report(o *order) {
	placer, filler := x.numbers(o)
	at := len(x.entries)
	x.entries = append(x.entries, entry{}) // its place; what it reports comes behind
	var attachments, observed list
	for i := range o.results {
		r := &o.results[i]
		if kind := r.obx.Field(2).Text(); kind == "ED" {
			attachments.add(encapsulated(r.obx.Field(5)))
			continue
		}
		observed.add(object{{"reference", x.observation(o, r, filler, i)}})
	}
	body := object{}
	var ids list
	ids.add(withValue(filler))
	ids.add(withValue(placer))
	body.put("identifier", ids)
	body.put("basedOn", concepts(reference("ServiceRequest", placer, "")))
	body.put("status", reportStatus(o.obr.Field(25).Text()))
	body.put("category", concepts(x.concept(o.obr.Field(24), systemSection)))
	code := x.concept(o.obr.Field(4), "")
	if len(code) == 0 {
		code = object{{"text", "report"}}
	}
	body.put("code", code)
	body.put("subject", x.patient)
	body.put("encounter", x.encounter())
	x.effective(&body, o.obr.Field(7), o.obr.Field(8))
	body.put("issued", instant(o.obr.Field(22).Text(), x.o.Zone))
	body.put("resultsInterpreter", concepts(x.interpreter(o.obr.Field(32))))
	body.put("result", observed)
	body.put("conclusion", notes(o.notes))
	body.put("presentedForm", attachments)
	condition := ""
	if filler.Value != "" {
		condition = query(filler)
	}
	x.entries[at] = entry{url: x.url(at), kind: "DiagnosticReport", query: condition, body: body, whole: true}
}

// interpreter is an NDL: its first component holds the person's own parts as
// sub-components.
func (x *mapping) interpreter(f Field) object {
	who := f.Part(1)
	var words []string
	for _, at := range []int{6, 3, 2} {
		if w := who.Sub(at).Text(); w != "" {
			words = append(words, w)
		}
	}
	return reference("Practitioner", fhir.Code{Value: who.Sub(1).Text()}, strings.Join(words, " "))
}

// effective is a moment, or a period when it has an end too.
func (x *mapping) effective(o *object, from, to Field) {
	start, end := dateTime(from.Text(), x.o.Zone), dateTime(to.Text(), x.o.Zone)
	if start != "" && end != "" && end != start {
		o.put("effectivePeriod", object{{"start", start}, {"end", end}})
		return
	}
	o.put("effectiveDateTime", start)
}

// notes are NTE as one text.
func notes(all []Segment) string {
	var lines []string
	for _, s := range all {
		for _, f := range s.Field(3).Each() {
			lines = append(lines, f.Whole())
		}
	}
	return strings.Join(lines, "\n")
}

// observation is one OBX. A filler's number, the code and the sub-id name it,
// so that a correction writes over what it corrects.
func (x *mapping) observation(o *order, r *result, filler fhir.Code, n int) string {
	obx := r.obx
	body, condition := object{}, ""
	if filler.Value != "" && !obx.Field(3).Empty() {
		id := fhir.Code{System: filler.System, Value: filler.Value + "/" + obx.Field(3).Part(1).Text() + "/" + obx.Field(4).Text() + "/" + sameBefore(o, n)}
		body.put("identifier", list{identifier(id)})
		condition = query(id)
	}
	body.put("status", observationStatus(obx.Field(11).Text()))
	body.put("category", observationCategory(o.obr.Field(24).Text()))
	code := x.concept(obx.Field(3), "")
	if len(code) == 0 {
		code = object{{"text", "observation"}}
	}
	body.put("code", code)
	body.put("subject", x.patient)
	body.put("encounter", x.encounter())
	if obx.Field(14).Empty() {
		x.effective(&body, o.obr.Field(7), o.obr.Field(8))
	} else {
		body.put("effectiveDateTime", dateTime(obx.Field(14).Text(), x.o.Zone))
	}
	body.put("issued", instant(obx.Field(19).Text(), x.o.Zone))
	body.put("performer", x.performers(obx))
	x.value(&body, obx, code)
	body.put("interpretation", x.flags(obx.Field(8)))
	if text := notes(r.notes); text != "" {
		body.put("note", list{object{{"text", text}}})
	}
	body.put("method", x.concept(obx.Field(17), ""))
	body.put("referenceRange", x.ranges(obx))
	return x.add("Observation", condition, false, body)
}

// sameBefore counts earlier results of an order with the same code and sub-id,
// so that two never share a name.
func sameBefore(o *order, n int) string {
	count, obx := 0, o.results[n].obx
	for i := range n {
		before := o.results[i].obx
		if before.Field(3).Part(1).text == obx.Field(3).Part(1).text && before.Field(4).text == obx.Field(4).text {
			count++
		}
	}
	if count == 0 {
		return ""
	}
	return strconv.Itoa(count)
}

// observationCategory follows the service section of the order (OBR-24).
func observationCategory(section string) list {
	code := ""
	switch section {
	case "LAB", "CH", "HM", "MB", "BG", "BLB", "CG", "CP", "IMM", "MCB", "MYC", "SP", "TX", "VR", "OSL", "GE":
		code = "laboratory"
	case "RAD", "RX", "CT", "NMR", "NMS", "OUS", "RUS", "CUS", "VUS", "XRC", "CTH", "IMG":
		code = "imaging"
	case "PF", "EC", "EN", "RC", "RT":
		code = "procedure"
	default:
		return nil
	}
	return list{object{{"coding", list{object{{"system", systemCategory}, {"code", code}}}}}}
}

func (x *mapping) performers(obx Segment) (all list) {
	for _, f := range obx.Field(16).Each() {
		all.add(x.professional(f))
	}
	all.add(x.organisation(obx.Field(23)))
	return all
}

// flags are OBX-8.
func (x *mapping) flags(f Field) (all list) {
	for _, one := range f.Each() {
		code := one.Text()
		if interpretation(code) {
			all.add(object{{"coding", list{object{{"system", systemInterpret}, {"code", code}}}}})
			continue
		}
		all.add(x.concept(one, "http://terminology.hl7.org/CodeSystem/v2-0078"))
	}
	return all
}

// ranges are OBX-7: a low and a high end where it is two numbers, and always
// the text.
func (x *mapping) ranges(obx Segment) list {
	text := obx.Field(7).Whole()
	if text == "" {
		return nil
	}
	var o object
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(trimmed, "<") && literal(strings.TrimLeft(trimmed, "<= ")) != "":
		o.put("high", x.quantity(literal(strings.TrimLeft(trimmed, "<= ")), obx.Field(6)))
	case strings.HasPrefix(trimmed, ">") && literal(strings.TrimLeft(trimmed, ">= ")) != "":
		o.put("low", x.quantity(literal(strings.TrimLeft(trimmed, ">= ")), obx.Field(6)))
	default:
		low, high, found := cutRange(trimmed)
		if found {
			o.put("low", x.quantity(low, obx.Field(6)))
			o.put("high", x.quantity(high, obx.Field(6)))
		}
	}
	o.put("text", text)
	return list{o}
}

// cutRange reads "3.5-5.0" and "-2 - 2".
func cutRange(s string) (low, high number, ok bool) {
	if len(s) < 3 {
		return "", "", false
	}
	at := strings.IndexByte(s[1:], '-')
	if at < 0 {
		return "", "", false
	}
	low, high = literal(strings.TrimSpace(s[:at+1])), literal(strings.TrimSpace(s[at+2:]))
	return low, high, low != "" && high != ""
}
