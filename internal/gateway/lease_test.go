package gateway

import (
	"bytes"
	"math/bits"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
)

// TestRevokedGrantEndsWithTheLease: what is in memory is read for a lease;
// then the keepers are asked, and refuse.
func TestRevokedGrantEndsWithTheLease(t *testing.T) {
	w := newWorld(t)
	doctor, directory := w.clinician()
	patient := w.patient()
	read := w.share(patient, doctor, grant.Read, allCategories()...)
	c := w.signIn(doctor, directory, read)
	resp, _ := c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	path := "/Patient/" + idOf(resp)
	c.want(http.StatusOK, "GET", path, "", nil)
	if p, err := w.net.Revoke(t.Context(), client.KeyHand(patient.id, patient.signing), read.Grant, false); err != nil || !p.InForce {
		t.Fatalf("revoke: in force %v, %v", p.InForce, err)
	}
	w.clock.advance(lease)
	c.want(http.StatusNotFound, "GET", path, "", nil)
	c.want(http.StatusNotFound, "GET", path+"/$everything", "", nil)
	for _, p := range w.gateway.sessionsNow() {
		for _, id := range p.openCharts() {
			if id == patient.id {
				t.Error("the chart is still in memory after the refusal")
			}
		}
	}
}

func (g *Gateway) sessionsNow() (all []*person) {
	g.sessions.each(func(p *person) { all = append(all, p) })
	return all
}

// TestLeaseIsRenewedByPermits counts what goes over the wire: within the lease
// nothing, after it permits and a list, and no record again.
func TestLeaseIsRenewedByPermits(t *testing.T) {
	k := newClinic(t)
	for range 3 {
		k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	}
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	asked := k.countRequests(0)
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	if n := asked(); n != 0 {
		t.Errorf("within the lease: got %d requests, want none", n)
	}
	permits := k.countRequests(session.Permit)
	k.clock.advance(lease)
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	if n := permits(); n < 3 {
		t.Errorf("after the lease: got %d permit requests, want three keepers asked", n)
	}
	releases := k.countRequests(session.Release)
	k.clock.advance(lease)
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	if n := releases(); n != 0 {
		t.Errorf("renewal: got %d requests for records, want none: they are in memory", n)
	}
	if n := len(k.c.pages("/Patient/" + k.id + "/$everything")); n != 4 {
		t.Errorf("after the renewal: got %d resources, want 4", n)
	}
}

// TestListProlongsNoLease: an update looks for news within the lease; that is
// no permit for what is in memory.
func TestListProlongsNoLease(t *testing.T) {
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	id := idOf(resp)
	k.clock.advance(lease * 2 / 3)
	next := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	k.c.want(http.StatusOK, "PUT", "/Observation/"+id, next, nil)
	k.clock.advance(lease / 2)
	permits := k.countRequests(session.Permit)
	k.c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
	if n := permits(); n < 3 {
		t.Errorf("after the lease: got %d permit requests, want three keepers asked", n)
	}
}

// countRequests counts the requests to all keepers of one mode.
func (k *clinic) countRequests(mode session.Mode) func() int {
	calls := make(chan struct{}, 1<<16)
	for _, kp := range k.keepers.Keepers {
		kp.Intercept(func(route string, body []byte) ([]byte, error) {
			if route != keeper.RouteRequest {
				return nil, nil
			}
			if asked, err := session.ParseRequest(body); err == nil && (mode == 0 || asked.Mode == mode) {
				calls <- struct{}{}
			}
			return nil, nil
		})
	}
	return func() int { return len(calls) }
}

func TestTwoKeepersDown(t *testing.T) {
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	first := resp.Header.Get("ETag")
	for _, x := range []abaton.KeeperIndex{2, 4} {
		k.keepers.Keepers[x].Down(true)
	}
	k.clock.advance(lease)
	k.c.want(http.StatusOK, "GET", "/Observation/"+idOf(resp), "", nil)
	_, got := k.c.want(http.StatusAccepted, "POST", "/Observation", k.observation(""), nil)
	if !bytes.Contains(got, []byte("accepted, not yet durable")) {
		t.Errorf("202: got %s, want it to say so", got)
	}
	if k.gateway.outbox.Len() == 0 {
		t.Error("the outbox is empty, want it to hold what is not yet durable")
	}
	for _, x := range []abaton.KeeperIndex{2, 4} {
		k.keepers.Keepers[x].Down(false)
	}
	if first == "" {
		t.Error("no ETag")
	}
}

func TestThreeKeepersDown(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	for _, x := range []abaton.KeeperIndex{1, 2, 4} {
		k.keepers.Keepers[x].Down(true)
	}
	k.clock.advance(lease)
	resp, _ := k.c.want(http.StatusServiceUnavailable, "GET", "/Patient/"+k.id, "", nil)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

// TestPatientReadsTheirOwn: a patient signs in like anybody, with no grant.
func TestPatientReadsTheirOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	_, seeds := k.patient.grant(k.patient.id, grant.Read, allCategories()...)
	own := k.signIn(k.patient, session.Bundle{Patient: k.patient.id, Seeds: seeds})
	if n := len(own.pages("/Patient/" + k.id + "/$everything")); n != 1 {
		t.Errorf("own record: got %d resources, want 1", n)
	}
}

func TestPurposeIsTheGrants(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.c.with(headerPurpose, string(abaton.Operations)).want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	k.c.with(headerPurpose, string(abaton.Research)).want(http.StatusNotFound, "GET", "/Patient/"+k.id, "", nil)
}

// TestFork: versions written over the same one, as two gateways do that do
// not hear each other, both stay and are merged by naming both.
func TestFork(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	id := idOf(resp)
	p := k.gateway.sessionsNow()[0]
	s := k.gateway.newScope(&call{person: p})
	open, err := k.gateway.chartOf(t.Context(), p, k.patient.id, "", false)
	if err != nil {
		t.Fatal(err)
	}
	parents := versionIDs(open.heads("Observation", id))
	for range 2 {
		ch, err := s.change(t.Context(), open, "Observation", id, parents, fhir.General)
		if err != nil {
			t.Fatal(err)
		}
		ch.content = []byte(k.observation(""))
		if pending, err := k.gateway.commit(t.Context(), p, []*change{ch}); err != nil || pending {
			t.Fatalf("commit: pending %v, %v", pending, err)
		}
	}
	heads := versionIDs(open.heads("Observation", id))
	if len(heads) != 2 {
		t.Fatalf("heads: got %d, want 2", len(heads))
	}
	resp, _ = k.c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
	if resp.Header.Get("Warning") == "" {
		t.Error("a fork is read without a Warning")
	}
	next := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	k.c.with("If-Match", resp.Header.Get("ETag")).want(http.StatusConflict, "PUT", "/Observation/"+id, next, nil)
	k.c.with("If-Match", `W/"x"`).want(http.StatusPreconditionFailed, "PUT", "/Observation/"+id, next, nil)
	both := fhir.ETag(heads[0]) + ", " + fhir.ETag(heads[1])
	k.c.with("If-Match", both).want(http.StatusOK, "PUT", "/Observation/"+id, next, nil)
	if resp, _ = k.c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil); resp.Header.Get("Warning") != "" {
		t.Error("merged, and still a Warning")
	}
}

// TestCloseLeavesNothing: requests are drained, and no goroutine of the
// gateway stays.
func TestCloseLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	if err := k.gateway.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	k.c.want(http.StatusServiceUnavailable, "GET", "/Patient/"+k.id, "", nil)
	if err := k.gateway.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if bytes.Contains(stacks, []byte("(*Gateway).sweep")) {
		t.Error("the sweeper still runs")
	}
	if n := k.gateway.sessions.len(); n != 0 {
		t.Errorf("sessions after Close: got %d, want 0", n)
	}
}

// TestOnlyNewsIsOpened: what others wrote is opened by itself; what is in
// memory is not released again.
func TestOnlyNewsIsOpened(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	for range 5 {
		k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	}
	other, directory := k.clinician()
	o := k.signIn(other, directory, k.share(k.patient, other, grant.Read, allCategories()...))
	o.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	var mu sync.Mutex
	released := make(map[string]int)
	for _, kp := range k.keepers.Keepers {
		kp.Intercept(func(route string, body []byte) ([]byte, error) {
			asked, err := session.ParseRequest(body)
			if route != keeper.RouteRequest || err != nil || asked.Mode != session.Release {
				return nil, nil
			}
			records := 0
			for _, row := range asked.Rows {
				records += bits.OnesCount64(row.Bits)
			}
			mu.Lock()
			released[string(body)] = records
			mu.Unlock()
			return nil, nil
		})
	}
	both := `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Observation"},"resource":` +
		k.observation("") + `},{"request":{"method":"POST","url":"Practitioner"},"resource":{"resourceType":"Practitioner"}}]}`
	var out response
	k.c.want(http.StatusOK, "POST", "/", both, &out)
	parts := strings.Split(out.Entry[0].Response.Location, "/")
	o.want(http.StatusOK, "GET", "/Observation/"+parts[1], "", nil)
	total := 0
	for _, n := range released {
		total += n
	}
	if total > 2 { // the resource and its line's commit record
		t.Errorf("news of one resource: got %d records released, want it and its commit", total)
	}
	if n := len(o.pages("/Patient/" + k.id + "/$everything")); n != 7 {
		t.Errorf("with the news: got %d resources, want 7", n)
	}
}
