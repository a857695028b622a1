package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Bounds of the Bundles made of loose resources.
const (
	looseEntriesMax = 200
	looseBytesMax   = 4 << 20
)

// units are the Bundles of the sources: transactions and batches as they are.
// Loose resources (lines, single ones, collections) come in batches of one
// patient each: patients here, all else from rest, for it refers to them.
func (m *importer) units(sources []source, yield func(*unit) error) error {
	for _, s := range sources {
		isLoose := s.lined()
		if !isLoose {
			var err error
			if isLoose, err = m.whole(s, yield); err != nil {
				return err
			}
		}
		if isLoose {
			m.loose = append(m.loose, s)
		} else {
			m.bar.took(s.size)
		}
	}
	return m.looseOnes(true, yield)
}

// rest are the loose resources that are no Patient.
func (m *importer) rest(yield func(*unit) error) error { return m.looseOnes(false, yield) }

func (m *importer) looseOnes(patients bool, yield func(*unit) error) error {
	l := &looseUnits{m: m, yield: yield, groups: make(map[string]*looseGroup)}
	for _, s := range m.loose {
		if err := l.source(s, patients); err != nil {
			return err
		}
		if !patients {
			m.bar.took(s.size)
		}
	}
	return l.flushAll()
}

// whole yields a file that is a transaction or a batch; loose says that it is
// something else.
func (m *importer) whole(s source, yield func(*unit) error) (loose bool, err error) {
	text, err := s.read()
	if err != nil {
		m.refuse(s.name, err.Error())
		return false, nil
	}
	if kind := bundleKind(text); kind != "transaction" && kind != "batch" {
		return true, nil
	}
	b, err := fhir.ParseBundle(text)
	if err != nil {
		m.refuse(s.name, reasonOf(err))
		return false, nil
	}
	if len(b.Entries) == 0 {
		return false, nil
	}
	u := &unit{from: s.name, body: text, hash: sha256.Sum256(text), entries: len(b.Entries)}
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Resource.Type != "Patient" || e.Method == "GET" {
			continue
		}
		if u.source != nil {
			m.refuse(s.name, "two patients in one transaction; split it")
			return false, nil
		}
		name := e.FullURL
		if name == "" {
			name = "Patient/" + e.Resource.ID()
		}
		u.source, u.handle = sourceOf(name), handleOf(name)
	}
	return false, yield(u)
}

// bundleKind is a first look: the type of a Bundle, "" for anything else.
// What is then done with it is checked strictly.
func bundleKind(text []byte) string {
	var head struct{ ResourceType, Type string }
	if json.Unmarshal(text, &head) != nil || head.ResourceType != "Bundle" {
		return ""
	}
	return head.Type
}

// reasonOf is an error of the FHIR room as one sentence.
func reasonOf(err error) string {
	o := fhir.AsOutcome(err)
	if o.Expression != "" {
		return o.Diagnostics + " (" + o.Expression + ")"
	}
	return o.Diagnostics
}

// looseUnits gathers loose resources, patient by patient.
type looseUnits struct {
	m      *importer
	yield  func(*unit) error
	groups map[string]*looseGroup // by patient's id in the source; "" for none
}

type looseGroup struct {
	entries bytes.Buffer
	labels  []string
	from    string
}

// source goes through one file, for its patients or for all else.
func (l *looseUnits) source(s source, patients bool) error {
	if s.lined() {
		err := s.lines(func(number int, line []byte) error {
			return l.resource(fmt.Sprintf("%s:%d", s.name, number), line, patients)
		})
		if err != nil && patients {
			l.m.refuse(s.name, err.Error())
		}
		return nil
	}
	text, err := s.read()
	if err != nil {
		return err
	}
	if bundleKind(text) == "" {
		return l.resource(s.name, text, patients)
	}
	b, err := fhir.ParseBundle(text)
	if err != nil {
		if patients {
			l.m.refuse(s.name, reasonOf(err))
		}
		return nil
	}
	for i := range b.Entries {
		if r := b.Entries[i].Resource; r.Type != "" {
			if err := l.resource(fmt.Sprintf("%s entry[%d]", s.name, i), r.Raw(), patients); err != nil {
				return err
			}
		}
	}
	return nil
}

// resource puts one into its patient's group. The id it has in the source is
// kept: other files refer to it.
func (l *looseUnits) resource(label string, text []byte, patients bool) error {
	r, err := fhir.ParseResource(text)
	if err != nil {
		if patients {
			l.m.refuse(label, reasonOf(err))
		}
		return nil
	}
	if (r.Type == "Patient") != patients {
		return nil
	}
	owner := ""
	place := fhir.PlaceOf(r)
	switch {
	case r.Type == "Patient":
		owner = r.ID()
	case place.Home == fhir.HomePatient:
		owner = place.Patients[0].ID
	case place.Home == fhir.HomeNone:
		l.m.refuse(label, place.Reason)
		return nil
	}
	return l.add(owner, label, r)
}

func (l *looseUnits) add(owner, label string, r fhir.Resource) error {
	g := l.groups[owner]
	if g == nil {
		g = &looseGroup{from: label}
		l.groups[owner] = g
	}
	if len(g.labels) > 0 {
		g.entries.WriteByte(',')
	}
	g.write(r)
	g.labels = append(g.labels, label)
	if len(g.labels) >= looseEntriesMax || g.entries.Len() >= looseBytesMax {
		delete(l.groups, owner)
		return l.emit(owner, g)
	}
	return nil
}

// write adds an entry that creates the resource under its id, once; one that
// has no id gets one from its source.
func (g *looseGroup) write(r fhir.Resource) {
	method, url, once := "PUT", r.Type+"/"+r.ID(), `,"ifNoneMatch":"*"`
	if r.ID() == "" {
		method, url, once = "POST", r.Type, ""
	}
	g.entries.WriteString(`{"resource":`)
	g.entries.Write(r.Raw())
	fmt.Fprintf(&g.entries, `,"request":{"method":%q,"url":%q%s}}`, method, url, once)
}

func (l *looseUnits) emit(owner string, g *looseGroup) error {
	var body bytes.Buffer
	body.WriteString(`{"resourceType":"Bundle","type":"batch","entry":[`)
	body.Write(g.entries.Bytes())
	body.WriteString(`]}`)
	u := &unit{from: g.from, body: body.Bytes(), hash: sha256.Sum256(body.Bytes()), entries: len(g.labels), labels: g.labels}
	if owner != "" {
		name := "Patient/" + owner
		u.source, u.handle = sourceOf(name), handleOf(name)
	}
	return l.yield(u)
}

func (l *looseUnits) flushAll() error {
	for owner, g := range l.groups {
		delete(l.groups, owner)
		if err := l.emit(owner, g); err != nil {
			return err
		}
	}
	return nil
}
