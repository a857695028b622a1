package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// twins is a clinic that has one person twice: two charts, each with a record.
type twins struct {
	*clinic
	second         *device
	from, into     string // ids of the Patients
	ofFrom, ofInto string // ids of an Observation in each chart
	params         string
	observations   []string // both, sorted
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	world := newWorld(t)
	doctor, directory := world.clinician()
	w := &twins{clinic: &clinic{world: world, doctor: doctor, patient: world.patient()}, second: world.patient()}
	w.c = w.signIn(doctor, directory, w.share(w.patient, doctor, grant.Read, allCategories()...), w.share(w.second, doctor, grant.Read, allCategories()...))
	made := func(d *device) (id, observation string) {
		resp, _ := w.c.with(headerPatient, d.id.String()).want(http.StatusCreated, "POST", "/Patient",
			`{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}],"name":[{"family":"Planted"}]}`, nil)
		w.id = idOf(resp)
		resp, _ = w.c.want(http.StatusCreated, "POST", "/Observation", w.observation(""), nil)
		return w.id, idOf(resp)
	}
	w.from, w.ofFrom = made(w.second)
	w.into, w.ofInto = made(w.patient)
	w.observations = []string{w.ofFrom, w.ofInto}
	slices.Sort(w.observations)
	w.params = mergeParams(w.from, w.into)
	return w
}

func mergeParams(from, into string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"source-patient","valueReference":{"reference":"Patient/` + from + `"}},` +
		`{"name":"target-patient","valueReference":{"reference":"Patient/` + into + `"}}]}`
}

// linksIn are the links of a Patient as a read shows them, "type other".
func (c *caller) linksIn(id string) (all []string) {
	c.w.t.Helper()
	var p struct{ Link []patientLink }
	c.want(http.StatusOK, "GET", "/Patient/"+id, "", &p)
	for _, l := range p.Link {
		all = append(all, l.Type+" "+l.Other.Reference)
	}
	return all
}

func (c *caller) idsOf(path string) []string {
	c.w.t.Helper()
	var l listed
	c.want(http.StatusOK, "GET", path, "", &l)
	ids := l.ids()
	slices.Sort(ids)
	return ids
}

// TestMergeAndBack (H32): a link shows both charts side by side, moves nothing,
// and ends without a trace but its history and a Flag in each.
func TestMergeAndBack(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newTwins(t)
	_, before := w.c.want(http.StatusOK, "GET", "/Patient/"+w.into, "", nil)
	own := w.c.idsOf("/Observation?patient=" + w.into)

	var done struct {
		Parameter []struct {
			Name           string
			ValueReference struct{ Reference string }
		}
	}
	w.c.want(http.StatusOK, "POST", "/Patient/$merge", w.params, &done)
	linkage := done.Parameter[1].ValueReference.Reference
	if got := w.c.linksIn(w.from); !slices.Equal(got, []string{"replaced-by Patient/" + w.into}) {
		t.Errorf("links of the one replaced: got %v", got)
	}
	if got := w.c.linksIn(w.into); !slices.Equal(got, []string{"replaces Patient/" + w.from}) {
		t.Errorf("links of the one that stays: got %v", got)
	}
	for _, id := range []string{w.from, w.into} {
		if got := w.c.idsOf("/Observation?patient=" + id); !slices.Equal(got, w.observations) {
			t.Errorf("observations of %s: got %v, want those of both", id, got)
		}
		if got := w.c.idsOf("/Observation?subject=Patient/" + id); !slices.Equal(got, w.observations) {
			t.Errorf("observations by subject: got %v, want those of both", got)
		}
		all := w.c.idsOf("/Patient/" + id + "/$everything?_count=100")
		for _, want := range []string{w.from, w.into, w.ofFrom, w.ofInto} {
			if !slices.Contains(all, want) {
				t.Errorf("everything of %s: got %v, want %s in it", id, all, want)
			}
		}
		if slices.Sort(all); len(slices.Compact(slices.Clone(all))) != len(all) {
			t.Errorf("everything of %s: got %v, want each once", id, all)
		}
	}
	// What was read can be written back; another link cannot be written.
	_, shown := w.c.want(http.StatusOK, "GET", "/Patient/"+w.from, "", nil)
	w.c.want(http.StatusOK, "PUT", "/Patient/"+w.from, string(shown), nil)
	w.c.want(http.StatusOK, "POST", "/", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+string(shown)+`,"request":{"method":"PUT","url":"Patient/`+w.from+`"}}]}`, nil)
	if _, again := w.c.want(http.StatusOK, "GET", "/Patient/"+w.from, "", nil); bytes.Count(again, []byte("replaced-by")) != 1 {
		t.Error("a Patient written back in a Bundle: got its link stored, or none shown")
	}
	w.c.want(http.StatusUnprocessableEntity, "PUT", "/Patient/"+w.into,
		`{"resourceType":"Patient","id":"`+w.into+`","link":[{"other":{"reference":"Patient/`+w.from+`"},"type":"seealso"}]}`, nil)
	w.c.want(http.StatusUnprocessableEntity, "DELETE", "/"+linkage, "", nil)
	w.c.want(http.StatusConflict, "POST", "/Patient/$merge", w.params, nil)
	w.c.want(http.StatusConflict, "POST", "/Patient/$unmerge", mergeParams(w.into, w.from), nil)

	w.c.want(http.StatusOK, "POST", "/Patient/$unmerge", w.params, nil)
	if got := w.c.idsOf("/Observation?patient=" + w.into); !slices.Equal(got, own) {
		t.Errorf("after unmerge: got %v, want %v", got, own)
	}
	if _, after := w.c.want(http.StatusOK, "GET", "/Patient/"+w.into, "", nil); !bytes.Equal(after, before) {
		t.Errorf("the Patient after unmerge: got other bytes than before the merge")
	}
	for _, id := range []string{w.from, w.into} {
		if links := w.c.linksIn(id); len(links) != 0 {
			t.Errorf("links after unmerge: got %v, want none", links)
		}
		if flags := w.c.idsOf("/Flag?patient=" + id); len(flags) != 1 {
			t.Errorf("flags of %s: got %v, want one that tells its readers", id, flags)
		}
		_, all := w.c.want(http.StatusOK, "GET", "/Patient/"+id+"/$everything?_count=100", "", nil)
		for _, other := range []string{w.from, w.into} {
			if other != id && bytes.Contains(all, []byte(other)) {
				t.Errorf("everything of %s after unmerge names the other patient", id)
			}
		}
	}
	var past struct{ Total int }
	w.c.want(http.StatusOK, "GET", "/"+linkage+"/_history", "", &past)
	if past.Total != 2 {
		t.Errorf("history of the link: got %d versions, want its beginning and its end", past.Total)
	}
	w.c.want(http.StatusConflict, "POST", "/Patient/$unmerge", w.params, nil)
	w.c.want(http.StatusOK, "POST", "/Patient/$merge", w.params, nil) // and again
	if got := w.c.idsOf("/Observation?patient=" + w.from); !slices.Equal(got, w.observations) {
		t.Errorf("after a second merge: got %v, want those of both", got)
	}
}

// TestMergeGivesNothing: a link is no grant. Who may open one of the two reads
// that one alone, and cannot link what it cannot open.
func TestMergeGivesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newTwins(t)
	w.c.want(http.StatusOK, "POST", "/Patient/$merge", w.params, nil)
	other, directory := w.clinician()
	one := w.signIn(other, directory, w.share(w.patient, other, grant.Read, allCategories()...))
	if got := one.idsOf("/Observation?patient=" + w.into); !slices.Equal(got, []string{w.ofInto}) {
		t.Errorf("with a grant to one chart: got %v, want its own", got)
	}
	if got := one.linksIn(w.into); len(got) != 1 {
		t.Errorf("links: got %v, want the one that says whom else to ask", got)
	}
	one.want(http.StatusNotFound, "GET", "/Patient/"+w.from, "", nil)
	one.want(http.StatusNotFound, "POST", "/Patient/$unmerge", w.params, nil)
	blind := w.signIn(other, w.share(w.patient, other, grant.Read, allCategories()...), w.share(w.second, other, grant.Read, allCategories()...))
	if got := blind.idsOf("/Observation?patient=" + w.into); !slices.Equal(got, []string{w.ofInto}) {
		t.Errorf("without the directory: got %v, want the one chart", got)
	}
	blind.want(http.StatusForbidden, "POST", "/Patient/$unmerge", w.params, nil)
}

// TestMergeRefuses what is no pair of two.
func TestMergeRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newTwins(t)
	for name, bad := range map[string]struct {
		status int
		body   string
	}{
		"no parameters":      {http.StatusBadRequest, `{"resourceType":"Parameters"}`},
		"one alone":          {http.StatusBadRequest, strings.Replace(w.params, "target-patient", "source-patient", 1)},
		"another parameter":  {http.StatusBadRequest, strings.Replace(w.params, "target-patient", "result-patient", 1)},
		"no Patient":         {http.StatusBadRequest, strings.ReplaceAll(w.params, "Patient/"+w.from, "Observation/"+w.ofFrom)},
		"the same":           {http.StatusUnprocessableEntity, mergeParams(w.from, w.from)},
		"nobody":             {http.StatusNotFound, mergeParams(w.from, "nobody")},
		"another resource":   {http.StatusBadRequest, `{"resourceType":"Basic","code":{"text":"x"}}`},
		"an id in a version": {http.StatusBadRequest, strings.ReplaceAll(w.params, w.from, w.from+"/_history/1")},
	} {
		t.Run(name, func(t *testing.T) {
			w.c.want(bad.status, "POST", "/Patient/$merge", bad.body, nil)
			if got := w.c.linksIn(w.into); len(got) != 0 {
				t.Errorf("links: got %v, want none", got)
			}
		})
	}
}

// TestMergedAreOneToMessages: a number that two merged charts have names the
// one that stays.
func TestMergedAreOneToMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	ties := []tie{{from: "a", into: "b"}, {from: "b", into: "c"}, {from: "x", into: "y"}}
	for id, want := range map[string]string{"a": "c", "b": "c", "c": "c", "x": "y", "z": "z"} {
		if got := standing(ties, id); got != want {
			t.Errorf("stands for %s: got %s, want %s", id, got, want)
		}
	}
	w := newTwins(t)
	agent := &Service{g: w.gateway, p: w.gateway.sessionsNow()[0]}
	number := []fhir.Code{{System: "urn:x", Value: "1"}}
	if _, _, err := agent.FindPatient(t.Context(), number); !errors.Is(err, ErrSeveral) {
		t.Errorf("before the merge: got %v, want %v", err, ErrSeveral)
	}
	w.c.want(http.StatusOK, "POST", "/Patient/$merge", w.params, nil)
	if got, _, err := agent.FindPatient(t.Context(), number); err != nil || got != w.patient.id {
		t.Errorf("after the merge: got %v, want the one that stays", err)
	}
	if got := oneOf(ties, "b"); len(got) != 3 || got[0] != "b" {
		t.Errorf("one of b: got %v, want b and the two others", got)
	}
	ring := []tie{{from: "a", into: "b"}, {from: "b", into: "a"}}
	standing(ring, "a") // ends
	if got := oneOf(ring, "a"); len(got) != 2 {
		t.Errorf("a ring: got %v, want both", got)
	}
}

func TestTieOf(t *testing.T) {
	good := string(linkageText("a", "b", true))
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"good":         {good, true},
		"over":         {string(linkageText("a", "b", false)), false},
		"itself":       {string(linkageText("a", "a", true)), false},
		"elsewhere":    {strings.Replace(good, "Patient/a", "https://h/Patient/a", 1), false},
		"other things": {strings.ReplaceAll(good, "Patient/", "Group/"), false},
		"two sources":  {strings.Replace(good, "alternate", "source", 1), false},
		"historical":   {strings.Replace(good, "alternate", "historical", 1), false},
		"no item":      {`{"resourceType":"Linkage","active":true}`, false},
	} {
		if got, ok, err := tieOf(fhir.Version{Type: "Linkage", Body: []byte(c.text)}); err != nil || ok != c.ok || ok && (got.from != "a" || got.into != "b") {
			t.Errorf("%s: got %+v, %v, %v", name, got, ok, err)
		}
	}
	if !json.Valid([]byte(good)) {
		t.Error("the Linkage is no JSON")
	}
}
