package gateway

import (
	"fmt"
	"math/bits"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
)

// ward is a world with a doctor and several patients, each with a Patient and
// some Observations and Conditions in one transaction.
type ward struct {
	*world
	doctor   *device
	c        *caller
	patients []*device
	ids      []string
	lent     []session.Bundle // of the patients, then of the directory
}

func newWard(t *testing.T, patients int) *ward {
	t.Helper()
	w := &ward{world: newWorld(t)}
	var directory session.Bundle
	w.doctor, directory = w.clinician()
	for range patients {
		p := w.patient()
		w.patients = append(w.patients, p)
		w.lent = append(w.lent, w.share(p, w.doctor, grant.Read, allCategories()...))
	}
	w.lent = append(w.lent, directory)
	w.c = w.signIn(w.doctor, w.lent...)
	for i, p := range w.patients {
		var out response
		w.c.with(headerPatient, p.id.String()).want(http.StatusOK, "POST", "/", w.filled(i), &out)
		parts := strings.Split(out.Entry[0].Response.Location, "/")
		w.ids = append(w.ids, parts[1])
	}
	return w
}

// filled is the transaction that fills the chart of patient i.
func (w *ward) filled(i int) string {
	entries := []string{fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-0000-0000-000000000000","request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient","name":[{"family":"Family%d"}],"identifier":[{"system":"urn:x","value":"n%d"}],"birthDate":"19%d0"}}`, i, i, i+5)}
	for n := range 3 {
		for _, kind := range []string{"Observation", "Condition"} {
			entries = append(entries, fmt.Sprintf(`{"request":{"method":"POST","url":"%s"},"resource":{"resourceType":"%s","code":{"coding":[{"system":"urn:c","code":"c%d"}]},"subject":{"reference":"urn:uuid:00000000-0000-0000-0000-000000000000"}}}`, kind, kind, n))
		}
	}
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",") + `]}`
}

// fresh is a new session with nothing open.
func (w *ward) fresh() *caller {
	w.t.Helper()
	return w.signIn(w.doctor, w.lent...)
}

func (w *ward) total(c *caller, path string) int {
	w.t.Helper()
	var b struct{ Total int }
	c.want(http.StatusOK, "GET", path, "", &b)
	return b.Total
}

// releases counts the records that keepers release from now on, the same
// request to several keepers once, by mode.
func (w *ward) releases() func(session.Mode) int {
	var mu sync.Mutex
	seen := make(map[string]session.Mode)
	records := make(map[string]int)
	for _, kp := range w.keepers.Keepers {
		kp.Intercept(func(route string, body []byte) ([]byte, error) {
			asked, err := session.ParseRequest(body)
			if route != keeper.RouteRequest || err != nil {
				return nil, nil
			}
			mu.Lock()
			defer mu.Unlock()
			seen[string(body)], records[string(body)] = asked.Mode, 0
			for _, row := range asked.Rows {
				records[string(body)] += bits.OnesCount64(row.Bits)
			}
			return nil, nil
		})
	}
	return func(mode session.Mode) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for body, m := range seen {
			if m == mode {
				n += records[body]
			}
		}
		clear(seen)
		clear(records)
		return n
	}
}

// TestPanelOpensOnlyWhatItLooksAt: a search over all patients releases the
// records of the types it names, and a later one what that one names besides.
func TestPanelOpensOnlyWhatItLooksAt(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWard(t, 3)
	c := w.fresh()
	w.total(c, "/Practitioner?name=x") // opens the directory
	released := w.releases()
	if n := w.total(c, "/Patient?identifier=urn:x%7Cn1"); n != 1 {
		t.Errorf("by identifier: got %d, want 1", n)
	}
	// A Patient and the commit of its transaction for each of three.
	if n := released(session.Release); n > 3*2 || n < 3 {
		t.Errorf("Patient by identifier: got %d records released, want one a patient and the commits", n)
	}
	if n := w.total(c, "/Patient?name=family"); n != 3 {
		t.Errorf("by name: got %d, want 3", n)
	}
	if n := released(session.Release); n != 0 {
		t.Errorf("a second search of Patients: got %d records released, want none", n)
	}
	if n := w.total(c, "/Observation?code=urn:c%7Cc1"); n != 3 {
		t.Errorf("Observations of the panel: got %d, want 3", n)
	}
	if n := released(session.Release); n > 3*4 || n < 9 {
		t.Errorf("Observations: got %d records released, want three a patient and the commits", n)
	}
	if n := w.total(c, "/Observation?patient.birthdate=ge1960&code=c2"); n != 2 {
		t.Errorf("chain over the panel: got %d, want 2", n)
	}
	if n := w.total(c, "/Patient?_has:Condition:patient:code=urn:c%7Cc0&birthdate=1950"); n != 1 {
		t.Errorf("_has over the panel: got %d, want 1", n)
	}
	if n := w.total(c, "/Condition?patient="+w.ids[0]+","+w.ids[2]); n != 6 {
		t.Errorf("two patients named: got %d, want 6", n)
	}
}

// TestPanelFollowsTheGrants: a part is read for a lease; what was revoked is
// gone from the next search after it, and from the open page.
func TestPanelFollowsTheGrants(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWard(t, 3)
	c := w.fresh()
	if n := w.total(c, "/Observation?code=c1"); n != 3 {
		t.Fatalf("before: got %d, want 3", n)
	}
	var b struct {
		Link []struct{ Relation, URL string }
	}
	c.want(http.StatusOK, "GET", "/Observation?_count=2", "", &b)
	next := strings.TrimPrefix(b.Link[1].URL, w.web.URL)
	if !strings.HasPrefix(next, "/Observation?_page=") || strings.Contains(next, "&") {
		t.Errorf("next link: got %s, want the page alone", next)
	}
	gone := w.patients[1]
	if p, err := w.net.Revoke(t.Context(), client.KeyHand(gone.id, gone.signing), w.lent[1].Grant, false); err != nil || !p.InForce {
		t.Fatalf("revoke: in force %v, %v", p.InForce, err)
	}
	w.clock.advance(lease)
	if n := w.total(c, "/Observation?code=c1"); n != 2 {
		t.Errorf("after the revocation: got %d, want 2", n)
	}
	if n := w.total(c, next); n != 6 {
		t.Errorf("next page after the revocation: got a total of %d, want 6", n)
	}
	for _, p := range w.gateway.sessionsNow() {
		p.mu.Lock()
		if h := p.held[gone.id]; p.actor == w.doctor.id && h != nil && h.part != nil {
			t.Error("a part of the revoked patient is still in memory")
		}
		p.mu.Unlock()
	}
}

// TestPanelReadsItsOwnWrites: what the session and what others wrote is found.
func TestPanelReadsItsOwnWrites(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWard(t, 2)
	c := w.fresh()
	body := `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"fresh"}]},"subject":{"reference":"Patient/` + w.ids[0] + `"}}`
	if n := w.total(c, "/Observation?code=fresh"); n != 0 {
		t.Fatalf("before: got %d, want none", n)
	}
	c.want(http.StatusCreated, "POST", "/Observation", body, nil)
	if n := w.total(c, "/Observation?code=fresh"); n != 1 {
		t.Errorf("own write: got %d, want 1", n)
	}
	w.c.want(http.StatusCreated, "POST", "/Observation", body, nil)
	if n := w.total(c, "/Observation?code=fresh"); n != 2 {
		t.Errorf("another session's write: got %d, want 2", n)
	}
}

// TestPanelBudget: what does not fit is refused and dropped.
func TestPanelBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWard(t, 1)
	p := w.gateway.sessionsNow()[0]
	if _, err := w.gateway.panel(t.Context(), p, "", make([]abaton.ActorID, panelPatientsMax+1), map[string]bool{"Patient": true}); err == nil || outcomeOf(err).Code != "too-costly" {
		t.Errorf("too many patients: got %v, want too-costly", err)
	}
	c := w.fresh()
	w.total(c, "/Observation?code=c1")
	for _, p := range w.gateway.sessionsNow() {
		for _, h := range p.held {
			if h.part == nil {
				continue
			}
			if h.part.heldBytes() == 0 {
				t.Error("a part weighs nothing")
			}
			h.part.weight.Store(panelBytesMax + 1)
			if err := w.gateway.fits(p, w.gateway.now()); err != nil {
				t.Errorf("what earlier searches opened: got %v, want it dropped", err)
			}
			if h.part != nil {
				t.Error("the part is still there")
			}
			h.part = w.gateway.newChart(h.patient, "", newPart(map[string]bool{"Patient": true}), nil)
			h.part.weight.Store(panelBytesMax + 1)
			h.used = w.gateway.now()
			if err := w.gateway.fits(p, h.used); err == nil || outcomeOf(err).Code != "too-costly" || h.part != nil {
				t.Errorf("over the budget: got %v, want too-costly and nothing kept", err)
			}
		}
	}
}

// TestHiddenPartIsNotSearched: a session without the line of a category finds
// nothing of it, by no parameter.
func TestHiddenPartIsNotSearched(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	label := `,"code":{"coding":[{"code":"planted"}]},"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}`
	k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(label), nil)
	other, directory := k.clinician()
	o := k.signIn(other, directory, k.share(k.patient, other, grant.Read, fhir.General.ID()))
	for _, query := range []string{"", "?code=planted", "?code:not=x", "?patient=" + k.id, "?_security=PSY", "?status=final"} {
		var b struct{ Total int }
		if o.want(http.StatusOK, "GET", "/Observation"+query, "", &b); b.Total != 0 {
			t.Errorf("Observation%s: got %d, want none", query, b.Total)
		}
	}
}

// TestSearchesAtOnce: searches that widen the same parts, whole charts being
// opened and writes go on side by side, and each sees what is there.
func TestSearchesAtOnce(t *testing.T) {
	w := newWard(t, 3)
	c := w.fresh()
	work := new(errgroup.Group)
	for _, path := range []string{"/Observation?code=c1", "/Condition?code=c1", "/Patient?name=family", "/Patient?_has:Condition:patient:code=c2",
		"/Observation?patient.name=family&code=c0", "/Condition?patient=" + w.ids[0], "/Patient?_id=" + w.ids[1] + "," + w.ids[2] + "," + w.ids[0]} {
		for range 2 {
			work.Go(func() error {
				status, _, answer, err := c.try("GET", path, "")
				if err != nil || status != http.StatusOK || !strings.Contains(string(answer), `"total":3`) {
					return fmt.Errorf("%s: got %d %s, %v, want three", shape(path), status, clip(answer), err)
				}
				return nil
			})
		}
	}
	for i := range 3 {
		work.Go(func() error {
			status, _, answer, err := c.try("POST", "/Encounter", `{"resourceType":"Encounter","status":"finished","subject":{"reference":"Patient/`+w.ids[i]+`"}}`)
			if err != nil || status != http.StatusCreated {
				return fmt.Errorf("create: got %d %s, %v", status, clip(answer), err)
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := w.total(c, "/Encounter?status=finished"); n != 3 {
		t.Errorf("what was written meanwhile: got %d, want 3", n)
	}
}
