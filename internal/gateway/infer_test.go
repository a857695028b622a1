package gateway

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// inferQueries is how many random requests are asked in each of two worlds.
const inferQueries = 260

// TestNothingCanBeInferred asks the same random requests twice: before and
// after somebody else adds patients whose grants the asker lacks, and records
// in parts that the asker's grants do not cover, made to match. Every byte of
// every answer is the same.
func TestNothingCanBeInferred(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWard(t, 3)
	asker, directory := w.clinician()
	var open []abaton.Category
	for _, c := range fhir.Categories() {
		if c != fhir.Psychiatric && c != fhir.Addiction {
			open = append(open, c.ID())
		}
	}
	lent := append(w.lent[:0:0], directory)
	for _, p := range w.patients {
		lent = append(lent, w.share(p, asker, grant.Read, open...))
	}
	w.c.want(http.StatusCreated, "PUT", "/Practitioner/known-doctor", `{"resourceType":"Practitioner","id":"known-doctor","name":[{"family":"Who"}]}`, nil)
	requests := inferRequests(w.ids, rand.New(rand.NewPCG(5, 6)))
	answers := func() (out []string) {
		c := w.signIn(asker, lent...)
		for _, r := range requests {
			out = append(out, c.whole(r[0], r[1], r[2]))
		}
		return out
	}
	before := answers()
	w.plant()
	after := answers()
	full := 0
	for i := range requests {
		if before[i] != after[i] {
			t.Errorf("request %d (%s %s): the answer tells that something was added", i, requests[i][0], shape(requests[i][1]))
		}
		if strings.Contains(before[i], `"entry":[`) {
			full++
		}
	}
	t.Logf("%d requests, %d of them answered with entries, all as before", len(requests), full)
	if full < len(requests)/4 {
		t.Errorf("got %d answers with entries, want enough to tell", full)
	}
}

// shape is a request without its values.
func shape(path string) string { return regexp.MustCompile(`=[^&]*`).ReplaceAllString(path, "=") }

// plant adds what the asker must not notice: in the charts the asker may read
// in part, and in two charts of others.
func (w *ward) plant() {
	w.t.Helper()
	hidden := func(kind, id, patient string, n int) string {
		return fmt.Sprintf(`{"resourceType":"%s","id":"%s","status":"final","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}],"tag":[{"code":"t"}]},"code":{"coding":[{"system":"urn:c","code":"c%d"}],"text":"x"},"subject":{"reference":"Patient/%s"},"performer":[{"reference":"Practitioner/known-doctor"}]}`,
			kind, id, n, patient)
	}
	for i, patient := range w.ids {
		for n := range 3 {
			id := fmt.Sprintf("planted-%d-%d", i, n)
			w.c.want(http.StatusCreated, "PUT", "/Observation/"+id, hidden("Observation", id, patient, n), nil)
		}
		w.c.want(http.StatusCreated, "POST", "/Provenance", `{"resourceType":"Provenance","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"ETH"}]},"target":[{"reference":"Patient/`+patient+
			`"},{"reference":"Observation/planted-`+fmt.Sprint(i)+`-0"}],"agent":[{"who":{"reference":"Practitioner/known-doctor"}}]}`, nil)
	}
	for i := range 2 {
		p := w.patient()
		w.c.lend(w.share(p, w.doctor, grant.Read, allCategories()...))
		id := fmt.Sprintf("planted-p%d", i)
		w.c.with(headerPatient, p.id.String()).want(http.StatusCreated, "PUT", "/Patient/"+id,
			`{"resourceType":"Patient","id":"`+id+`","name":[{"family":"Family0"}],"identifier":[{"system":"urn:x","value":"n1"}],"birthDate":"1950"}`, nil)
		for n := range 3 {
			at := fmt.Sprintf("planted-x%d-%d", i, n)
			body := strings.Replace(hidden("Observation", at, id, n), `"PSY"`, `"none"`, 1)
			w.c.want(http.StatusCreated, "PUT", "/Observation/"+at, body, nil)
		}
	}
}

// inferRequests are reads and searches of every kind: method, path, form.
func inferRequests(ids []string, rng *rand.Rand) (out [][3]string) {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	someone := func() string { return pick(append(slices.Clone(ids), "planted-p0", "planted-p1", "nobody")...) }
	thing := func() string {
		return pick("planted-0-0", "planted-1-2", "planted-x0-1", "planted-x1-0", "never-was")
	}
	code := func() string { return pick("c0", "c1", "urn:c%7Cc2", "urn:c%7C", "c9", "%7Cc1") }
	condition := func(kind string) string {
		if kind == "Patient" {
			return pick("name=family"+pick("", "0", "1"), "identifier=urn:x%7Cn"+pick("0", "1", "2", "7"), "birthdate="+pick("ge1950", "1950", "lt1965"),
				"_has:Observation:patient:code="+code(), "_has:Observation:subject:_tag=t", "_has:Provenance:target:agent=known-doctor",
				"_has:Observation:patient:performer.name=who", "_id="+someone(), "_id="+someone()+","+someone(), "deceased=false", "name:contains=mily")
		}
		return pick("code="+code(), "code:not="+code(), "patient="+someone(), "subject=Patient/"+someone(), "patient.name=family"+pick("", "0"),
			"patient.identifier=n1", "subject:Patient.birthdate=1950", "_id="+thing(), "_id="+thing()+","+thing(), "_tag=t", "_tag:not=t",
			"_security=PSY", "code:text=x", "code:missing=false", "_lastUpdated=gt2020", "patient="+someone()+","+someone(),
			"patient._has:Observation:patient:code="+code(), "subject="+someone(), "patient:missing=true", "_has:Provenance:target:agent=known-doctor")
	}
	shapes := func(kind string) string {
		s := pick("", "", "_count=1", "_count=2", "_count=0", "_summary=count", "_sort=-_lastUpdated", "_sort=_id", "_sort=code,-_id", "_total=none",
			"_elements=code", "_include=*", "_revinclude=Provenance:target", "_revinclude=Observation:patient")
		if kind == "Observation" {
			s = pick(s, "_include=Observation:subject", "_include=Observation:performer", "_revinclude=Observation:has-member", "_sort=patient")
		}
		return s
	}
	count := inferQueries
	if raceEnabled {
		count /= 4 // four times slower, and no more to find
	}
	for range count {
		switch rng.IntN(12) {
		case 0:
			out = append(out, [3]string{"GET", "/Observation/" + thing() + pick("", "/_history", "/_history/1"), ""})
		case 1:
			out = append(out, [3]string{"GET", "/Patient/" + someone() + pick("", "/$everything", "/$everything?_count=2", "/$everything?_type=Observation", "/_history"), ""})
		case 2:
			out = append(out, [3]string{"GET", "/Observation?" + pick("code:below=x", "date=today", "_count=x", "patient.colour=1", "focus.name=x", "colour="+thing()), ""})
		case 3:
			kind := pick("Practitioner", "Provenance", "Condition", "Encounter")
			out = append(out, [3]string{"GET", "/" + kind + "?" + pick("_id=known-doctor", "", "_count=1", "_revinclude=Observation:performer", "patient="+someone(), "_has:Observation:performer:code="+code()), ""})
		default:
			kind := pick("Observation", "Observation", "Patient")
			query := condition(kind)
			for range rng.IntN(3) {
				query += "&" + condition(kind)
			}
			if s := shapes(kind); s != "" {
				query += "&" + s
			}
			if rng.IntN(5) == 0 {
				out = append(out, [3]string{"POST", "/" + kind + "/_search", query})
			} else {
				out = append(out, [3]string{"GET", "/" + kind + "?" + query, ""})
			}
		}
	}
	return out
}

// whole is everything a caller sees of an answer and of the pages behind it,
// but the seals of page links.
func (c *caller) whole(method, path, form string) string {
	c.w.t.Helper()
	if form != "" {
		c = c.with("Content-Type", "application/x-www-form-urlencoded")
	}
	seals := regexp.MustCompile(paramPage + `=([A-Za-z0-9_-]+)`)
	var b strings.Builder
	for range 8 {
		resp := c.do(method, path, form)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			c.w.t.Fatal(err)
		}
		resp.Header.Del("Date")
		resp.Header.Del("Content-Length")
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for name := range resp.Header {
				if !yield(name) {
					return
				}
			}
		}) {
			fmt.Fprintln(&b, name, resp.Header[name])
		}
		length := len(seals.ReplaceAllString(string(body), ""))
		fmt.Fprintln(&b, resp.StatusCode, length, seals.ReplaceAllString(string(body), paramPage))
		next := regexp.MustCompile(`"relation":"next","url":"([^"]*)"`).FindStringSubmatch(string(body))
		if next == nil {
			break
		}
		method, path, form = "GET", strings.TrimPrefix(next[1], c.w.web.URL), ""
	}
	return b.String()
}

// TestAbsenceTakesAsLong compares how long it takes to be told that something
// never was and that it is not granted. It logs the medians and holds them to
// nothing: a machine in use is no place for a limit.
func TestAbsenceTakesAsLong(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("figures only; run without -short and without -race")
	}
	w := newWard(t, 3)
	asker, directory := w.clinician()
	lent := append(w.lent[:0:0], directory)
	for _, p := range w.patients {
		lent = append(lent, w.share(p, asker, grant.Read, fhir.General.ID()))
	}
	w.c.want(http.StatusCreated, "PUT", "/Practitioner/known-doctor", `{"resourceType":"Practitioner","id":"known-doctor","name":[{"family":"Who"}]}`, nil)
	w.plant()
	c := w.signIn(asker, lent...)
	c.want(http.StatusOK, "GET", "/Patient?name=family", "", nil)
	for _, pair := range []struct{ name, never, hidden string }{
		{"read in a chart that is open", "/Observation/never-was-0", "/Observation/planted-0-0"},
		{"read of another's chart", "/Observation/never-was-0", "/Observation/planted-x0-0"},
		{"read of a Patient", "/Patient/never-was", "/Patient/planted-p0"},
		{"search by patient", "/Observation?patient=never-was-1", "/Observation?patient=planted-p0"},
		{"search by identifier", "/Patient?identifier=urn:x%7Cnone", "/Patient?identifier=urn:x%7Cn1&birthdate=1950"},
	} {
		const rounds = 150
		var took [2][]time.Duration
		for range rounds {
			for i, path := range []string{pair.never, pair.hidden} {
				started := time.Now()
				c.do("GET", path, "").Body.Close()
				took[i] = append(took[i], time.Since(started))
			}
		}
		slices.Sort(took[0])
		slices.Sort(took[1])
		never, hidden := took[0][rounds/2], took[1][rounds/2]
		t.Logf("%s: never there %v, not granted %v, ratio %.2f", pair.name, never.Round(time.Microsecond), hidden.Round(time.Microsecond), float64(hidden)/float64(never))
	}
}
