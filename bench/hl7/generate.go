package main

import (
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/dice"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/hl7"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/testdata/patients"
)

// human is what messages say of a sample patient.
type human struct {
	number, family, given, birth, sex string
	bundle                            []byte // the patient's chart
}

// samplePeople are the sample patients, as their charts tell of them.
func samplePeople() (all []human, err error) {
	names, err := fs.Glob(patients.Files, "*.json.gz")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, "0-") {
			continue
		}
		text, err := unzipped(name)
		if err != nil {
			return nil, err
		}
		h, err := humanOf(text)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, h)
	}
	return all, nil
}

func unzipped(name string) ([]byte, error) {
	f, err := patients.Files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func humanOf(text []byte) (h human, err error) {
	b, err := fhir.ParseBundle(text)
	if err != nil {
		return h, err
	}
	h.bundle = text
	for i := range b.Entries {
		r := b.Entries[i].Resource
		if r.Type != "Patient" {
			continue
		}
		for id := range r.Get("identifier").Each() {
			for c := range id.Path("type", "coding").Each() {
				if c.Get("code").Is("MR") {
					h.number = id.Get("value").Text()
				}
			}
		}
		for name := range r.Get("name").Each() {
			h.family = name.Get("family").Text()
			for given := range name.Get("given").Each() {
				h.given = given.Text()
			}
			break
		}
		h.birth = strings.ReplaceAll(r.Get("birthDate").Text(), "-", "")
		h.sex = strings.ToUpper(r.Get("gender").Text()[:1])
	}
	if h.number == "" {
		return h, fmt.Errorf("no record number")
	}
	return h, nil
}

// message is one generated message and what must become of it.
type message struct {
	raw    []byte
	key    [32]byte
	whose  int        // index of the patient; -1 for nobody's
	reason hl7.Reason // "" when it must be filed
}

// generator makes messages one after the other.
type generator struct {
	dice   *dice.Dice
	people []human
	visits []int // by patient: the visit that is open, 0 for none
	number int
	now    time.Time
}

// generate makes count messages: a hospital's day, with its mistakes.
func generate(seed uint64, count int, people []human) []message {
	g := &generator{dice: dice.New(seed), people: people, visits: make([]int, len(people)), now: time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)}
	all := make([]message, 0, count)
	for len(all) < count {
		g.number++
		g.now = g.now.Add(time.Duration(g.dice.Below(20)) * time.Second)
		m := g.one()
		m.key = hl7.KeyOf(m.raw)
		all = append(all, m)
	}
	return all
}

func (g *generator) one() message {
	whose := g.dice.Below(len(g.people))
	switch n := g.dice.Below(100); {
	case n < 34:
		return g.admission(whose)
	case n < 74:
		return g.laboratory(whose)
	case n < 84:
		return g.letter(whose)
	case n < 94:
		return g.schedule(whose)
	case n < 97:
		return g.stranger()
	}
	return g.broken(whose)
}

// head are MSH and PID.
func (g *generator) head(application, kind string, h human) string {
	return fmt.Sprintf("MSH|^~\\&|%s|WEST|ABATON|CLINIC|%s+0100||%s|%s|P|2.5.1|||||NLD|UNICODE UTF-8\r", application, g.stamp(0), kind, g.control()) +
		fmt.Sprintf("PID|1||%s^^^%s^MR||%s^%s^^^^^L||%s|%s|||Kerkstraat 1^^Utrecht^^3511AA^NLD^H||^PRN^PH^^31^30^5550100\r",
			h.number, local.SampleAuthority, h.family, h.given, h.birth, h.sex)
}

func (g *generator) control() string { return fmt.Sprintf("GEN%d-%06d", g.dice.Seed(), g.number) }

func (g *generator) stamp(after time.Duration) string {
	return g.now.Add(after).Format("20060102150405")
}

func (g *generator) filed(raw string, whose int) message {
	return message{raw: []byte(raw), whose: whose}
}

func (g *generator) visit(whose int) string {
	return fmt.Sprintf("V%d-%d", whose, g.visits[whose])
}

// admission goes through a visit: admitted, transferred, discharged; now and
// then a correction, a change of address, a cancelled admission.
func (g *generator) admission(whose int) message {
	h := g.people[whose]
	event := dice.Pick(g.dice, []string{"A01", "A02", "A03", "A04", "A08", "A11", "A31", "A02"})
	if g.visits[whose] == 0 || event == "A01" || event == "A04" {
		g.visits[whose] = g.number
		if event != "A04" {
			event = "A01"
		}
	}
	discharged := ""
	if event == "A03" {
		discharged = g.stamp(0)
	}
	raw := g.head("ADT1", "ADT^"+event, h) + fmt.Sprintf("EVN|%s|%s\r", event, g.stamp(0))
	if event != "A31" {
		raw += fmt.Sprintf("PV1|1|%s|%s^%d^%s^WEST||||1234^Jansen^Maria^^^dr.|5678^de Vries^Pieter|||||||||||%s||||||||||||||||||||||||%s|%s",
			dice.Pick(g.dice, []string{"I", "O", "E"}), dice.Pick(g.dice, []string{"CARD", "SURG", "MED"}), 100+g.dice.Below(20), dice.Pick(g.dice, []string{"A", "B"}),
			g.visit(whose), g.stamp(-3*time.Hour), discharged)
	}
	if event == "A03" || event == "A11" {
		g.visits[whose] = 0
	}
	return g.filed(strings.TrimSuffix(raw, "\r"), whose)
}

// test is one row of the laboratory's catalogue.
type test struct{ code, name, unit, normal, value string }

var catalogue = []test{
	{"718-7", "Hemoglobin", "g/dL", "12.0-16.0", "NM"}, {"4544-3", "Hematocrit", "%", "36-46", "NM"}, {"6690-2", "Leukocytes", "10*3/uL", "4.5-11.0", "NM"},
	{"777-3", "Platelets", "10*3/uL", "150-450", "NM"}, {"2345-7", "Glucose", "mg/dL", "70-99", "NM"}, {"2160-0", "Creatinine", "mg/dL", "0.6-1.2", "NM"},
	{"2951-2", "Sodium", "mmol/L", "136-145", "NM"}, {"2823-3", "Potassium", "mmol/L", "3.5-5.1", "NM"}, {"1742-6", "ALT", "U/L", "<41", "NM"},
	{"33914-3", "eGFR", "mL/min/{1.73_m2}", ">60", "SN"}, {"5778-6", "Color of Urine", "", "", "CWE"}, {"630-4", "Bacteria in Urine by Culture", "", "", "TX"},
}

// laboratory is an ORU with one to eight results; one in thirty is an HIV
// test, which belongs in another part of the record.
func (g *generator) laboratory(whose int) message {
	h := g.people[whose]
	raw := g.head("LAB", "ORU^R01^ORU_R01", h)
	if g.visits[whose] != 0 {
		raw += fmt.Sprintf("PV1|1|I|MED^101^A||||||||||||||||%s\r", g.visit(whose))
	}
	order := fmt.Sprintf("%d", g.number)
	raw += fmt.Sprintf("ORC|RE|P%s^ADT1|F%s^LAB\rOBR|1|P%s^ADT1|F%s^LAB|%s|||%s|||||||||1234^Jansen^Maria^^^dr.||||||%s+0100||LAB|F\r", order, order, order, order,
		dice.Pick(g.dice, []string{"58410-2^CBC panel^LN", "24323-8^Comprehensive metabolic panel^LN", "LOC7^Local panel^L"}), g.stamp(-time.Hour), g.stamp(0))
	for n := range 1 + g.dice.Below(8) {
		raw += g.result(n+1, dice.Pick(g.dice, catalogue))
	}
	if g.dice.Below(30) == 0 {
		raw += "OBX|9|CWE|7917-8^HIV 1 Ab^LN||260385009^Negative^SCT||Negative|N|||F\r"
	}
	return g.filed(strings.TrimSuffix(raw, "\r"), whose)
}

func (g *generator) result(n int, t test) string {
	value, flag := "", "N"
	switch t.value {
	case "NM":
		value = fmt.Sprintf("%d.%d", 3+g.dice.Below(140), g.dice.Below(10))
		flag = dice.Pick(g.dice, []string{"N", "N", "N", "H", "L", "HH"})
	case "SN":
		value = fmt.Sprintf(">^%d", 60+g.dice.Below(30))
	case "CWE":
		value = dice.Pick(g.dice, []string{"371244009^Yellow color^SCT", "YE^yellow^L"})
	default:
		value = "No growth after 48 hours \\T\\ no contamination~Second line"
	}
	unit := ""
	if t.unit != "" {
		unit = t.unit + "^" + t.unit + "^UCUM"
	}
	return fmt.Sprintf("OBX|%d|%s|%s^%s^LN|%d|%s|%s|%s|%s|||F|||%s\r", n, t.value, t.code, t.name, n, value, unit, t.normal, flag, g.stamp(-time.Hour))
}

// letter is an MDM: text, or a small PDF.
func (g *generator) letter(whose int) message {
	raw := g.head("DOCS", "MDM^T02^MDM_T02", g.people[whose]) + fmt.Sprintf("EVN|T02|%s\r", g.stamp(0)) +
		fmt.Sprintf("TXA|1|%s|TX|%s||%s|||1234^Jansen^Maria^^^dr.|||D%d^DOCS||||Letter.pdf|AU\r", dice.Pick(g.dice, []string{"DS", "OP", "CN", "PN"}), g.stamp(-time.Hour), g.stamp(0), g.number)
	if g.dice.Below(4) == 0 {
		pdf := "%PDF-1.4\n% sample letter " + g.control() + strings.Repeat("\n% filling", 200)
		raw += "OBX|1|ED|PDF^Letter||^AP^PDF^Base64^" + base64.StdEncoding.EncodeToString([]byte(pdf)) + "||||||F"
		return g.filed(raw, whose)
	}
	for n := range 3 + g.dice.Below(8) {
		raw += fmt.Sprintf("OBX|%d|TX|18842-5^Discharge summary^LN||Line %d of the letter: the course was uneventful.||||||F\r", n+1, n+1)
	}
	return g.filed(strings.TrimSuffix(raw, "\r"), whose)
}

// schedule books, moves and cancels appointments.
func (g *generator) schedule(whose int) message {
	event := dice.Pick(g.dice, []string{"S12", "S12", "S13", "S14", "S15"})
	begins := g.now.Add(time.Duration(24+g.dice.Below(500)) * time.Hour).Truncate(15 * time.Minute)
	raw := g.head("SCHED", "SIU^"+event+"^SIU_S12", g.people[whose]) +
		fmt.Sprintf("SCH|A%d|A%d^SCHED|||||ROUTINE^Routine^HL70276|CHECKUP^Checkup^HL70276|30|min|^^^%s^%s\r", g.number%500, g.number%500,
			begins.Format("20060102150405"), begins.Add(30*time.Minute).Format("20060102150405")) +
		"RGS|1\rAIS|1||CARD^Cardiology^L\rAIP|1||1234^Jansen^Maria^^^dr.\rAIL|1||OUTP^12"
	return g.filed(raw, whose)
}

// stranger is about nobody known here.
func (g *generator) stranger() message {
	h := human{number: fmt.Sprintf("X%06d", g.number), family: "Onbekend", given: "Iemand", birth: "19700101", sex: "U"}
	raw := g.head("ADT1", dice.Pick(g.dice, []string{"ADT^A04", "ADT^A28"}), h) + fmt.Sprintf("EVN|A04|%s\rPV1|1|O|OUTP^1||||||||||||||||V9-%d", g.stamp(0), g.number)
	return message{raw: []byte(raw), whose: -1, reason: hl7.ReasonPatient}
}

// broken is one of the ways in which messages are wrong.
func (g *generator) broken(whose int) message {
	h := g.people[whose]
	m := message{whose: -1}
	switch g.dice.Below(9) {
	case 0: // a merge
		m.raw, m.reason = []byte(g.head("ADT1", "ADT^A40", h)+"MRG|X1^^^"+local.SampleAuthority), hl7.ReasonMerge
	case 1: // a kind that is not mapped
		m.raw, m.reason = []byte(g.head("BILL", "DFT^P03", h)+"FT1|1|||"+g.stamp(0)), hl7.ReasonUnsupported
	case 2: // no PID
		raw := g.head("LAB", "ORU^R01", h)
		m.raw, m.reason = []byte(strings.SplitAfter(raw, "\r")[0]+"OBR|1||F1|58410-2^CBC^LN"), hl7.ReasonIncomplete
	case 3: // bytes outside of the character set it names
		m.raw, m.reason = append([]byte(g.head("ADT1", "ADT^A08", h)), "NTE|1||caf\xe9"...), hl7.ReasonCharset
	case 4: // a character set that is not read here
		m.raw, m.reason = []byte(strings.Replace(g.head("ADT1", "ADT^A08", h), "UNICODE UTF-8", "JAS2020", 1)), hl7.ReasonCharset
	case 5: // an appointment without a time
		m.raw, m.reason = []byte(g.head("SCHED", "SIU^S12", h)+fmt.Sprintf("SCH|B%d|B%d", g.number, g.number)), hl7.ReasonIncomplete
	case 6: // a line that is no segment
		m.raw, m.reason = []byte(g.head("ADT1", "ADT^A08", h)+"this is no segment"), hl7.ReasonSyntax
	case 7: // somebody born on another day
		other := h
		other.birth = "18991231"
		m.raw, m.reason = []byte(g.head("LAB", "ORU^R01", other)+fmt.Sprintf("OBR|1||F%d^LAB|58410-2^CBC^LN\rOBX|1|NM|718-7^Hb^LN||9", g.number)), hl7.ReasonMismatch
	default: // a test message
		m.raw, m.reason = []byte(strings.Replace(g.head("ADT1", "ADT^A08", h), "|P|2.5.1", "|T|2.5.1", 1)), hl7.ReasonTest
	}
	return m
}
