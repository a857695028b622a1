package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// told is what keeper 1 was told last, by patient, whom and kind.
type told struct {
	mu    sync.Mutex
	until map[thing]int64
	news  chan struct{}
}

type thing struct {
	what string // thingOf
	from int64
}

func (w *world) listens() *told {
	h := &told{until: make(map[thing]int64), news: make(chan struct{}, 1)}
	w.keepers.Keepers[1].Intercept(func(route string, body []byte) ([]byte, error) {
		if route != keeper.RouteRelations {
			return nil, nil
		}
		r, err := relation.Parse(body)
		if err != nil {
			w.t.Errorf("the gateway's statement: %v", err)
			return nil, nil
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range r.Entries {
			one := thing{thingOf(e.Patient, e.Whom, e.Kind), e.From}
			if h.until[one] = e.Until; e.Until == e.From {
				delete(h.until, one)
			}
		}
		select {
		case h.news <- struct{}{}:
		default:
		}
		return nil, nil
	})
	return h
}

func thingOf(patient, whom abaton.ActorID, kind relation.Kind) string {
	return fmt.Sprint(patient, whom, kind)
}

// awaits until keepers know exactly this.
func (h *told) awaits(t *testing.T, w *world, want ...string) {
	t.Helper()
	slices.Sort(want)
	for end := time.After(30 * time.Second); ; {
		h.mu.Lock()
		var got []string
		for one := range h.until {
			got = append(got, one.what)
		}
		h.mu.Unlock()
		slices.Sort(got)
		if slices.Equal(got, want) && w.gateway.feed.Lag(1) == 0 {
			return
		}
		select {
		case <-h.news:
		case <-time.After(20 * time.Millisecond):
		case <-end:
			t.Fatalf("keepers know %d relations, want %d", len(got), len(want))
		}
	}
}

// team seats a clinician of the house in a new team.
func (w *world) team(seated *device) abaton.ActorID {
	w.t.Helper()
	body := &actor.Team{Epoch: 1, Public: key.NewBox().Public().Bytes(), Nonce: [16]byte{7}}
	body.Team = actor.TeamID(w.org.id, body.Nonce)
	sealed, err := actor.SealTeamSeed(seated.box.Public(), body.Team, key.NewSecret())
	if err != nil {
		w.t.Fatal(err)
	}
	body.Seats = []actor.Seat{{Actor: seated.id, Sealed: sealed}}
	if _, err := w.net.Append(w.t.Context(), client.KeyHand(w.org.id, w.org.signing), body); err != nil {
		w.t.Fatalf("team: %v", err)
	}
	return body.Team
}

// untold is the gateway's count of what it could not tell.
func (w *world) untold() float64 {
	w.t.Helper()
	all := prometheus.NewRegistry()
	all.MustRegister(w.gateway.counters.untold)
	families, err := all.Gather()
	if err != nil || len(families) != 1 {
		w.t.Fatalf("%d metrics, %v", len(families), err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// TestWhoTreatsWhomIsTold: what is written of visits and appointments reaches the
// keepers as relations of the people and teams whom the directory names, and of
// nobody who wrote it.
func TestWhoTreatsWhomIsTold(t *testing.T) {
	k := newClinic(t)
	h := k.listens()
	other, _ := k.world.clinician()
	ward := k.team(other)
	practitioner := func(d *device) string {
		resp, _ := k.c.want(http.StatusCreated, "POST", "/Practitioner", fmt.Sprintf(
			`{"resourceType":"Practitioner","identifier":[{"system":"urn:abaton:actor","value":%q},{"system":"urn:staff","value":%q}]}`, d.id, d.id.String()[:9]), nil)
		return "Practitioner/" + idOf(resp)
	}
	doctor, colleague := practitioner(k.doctor), practitioner(other)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Location", fmt.Sprintf(`{"resourceType":"Location","identifier":[{"system":"urn:abaton:actor","value":%q}]}`, ward), nil)
	room := "Location/" + idOf(resp)
	patient := `{"actor":{"reference":"Patient/` + k.id + `"},"status":"accepted"}`
	appointment := func(who, status string, at time.Time) string {
		return fmt.Sprintf(`{"resourceType":"Appointment","status":%q,"start":%q,"end":%q,"participant":[%s,{"actor":%s,"status":"accepted"}]}`,
			status, at.Format(time.RFC3339), at.Add(time.Hour).Format(time.RFC3339), patient, who)
	}
	reference := func(to string) string { return `{"reference":"` + to + `"}` }
	now := time.Now()
	tomorrow := now.Add(24 * time.Hour)

	// The doctor books for a colleague, by reference and by the staff number.
	resp, _ = k.c.want(http.StatusCreated, "POST", "/Appointment", appointment(reference(colleague), "booked", tomorrow), nil)
	visit := idOf(resp)
	seen := thingOf(k.patient.id, other.id, relation.Appointment)
	h.awaits(t, k.world, seen)
	logical := fmt.Sprintf(`{"type":"Practitioner","identifier":{"system":"urn:staff","value":%q}}`, other.id.String()[:9])
	k.c.want(http.StatusCreated, "POST", "/Appointment", appointment(logical, "booked", tomorrow.Add(time.Hour)), nil)
	h.awaits(t, k.world, seen, seen)

	// Nobody gives themselves a reason, and what is over gives none.
	k.c.want(http.StatusCreated, "POST", "/Appointment", appointment(reference(doctor), "booked", tomorrow), nil)
	k.c.want(http.StatusCreated, "POST", "/Appointment", appointment(reference(colleague), "fulfilled", now.Add(-30*24*time.Hour)), nil)

	// A shift is a duty of who is on it; opening hours are not, nor is one's own.
	schedule := func(who string, at time.Time, hours time.Duration) string {
		return fmt.Sprintf(`{"resourceType":"Schedule","actor":[{"reference":%q}],"planningHorizon":{"start":%q,"end":%q}}`,
			who, at.Format(time.RFC3339), at.Add(hours*time.Hour).Format(time.RFC3339))
	}
	resp, _ = k.c.want(http.StatusCreated, "POST", "/Schedule", schedule(colleague, tomorrow, 8), nil)
	shift := idOf(resp)
	k.c.want(http.StatusCreated, "POST", "/Schedule", schedule(colleague, tomorrow, 25), nil)
	k.c.want(http.StatusCreated, "POST", "/Schedule", schedule(doctor, tomorrow, 8), nil)
	h.awaits(t, k.world, seen, seen, thingOf(other.id, abaton.ActorID{}, relation.Duty))
	k.c.want(http.StatusNoContent, "DELETE", "/Schedule/"+shift, "", nil)
	h.awaits(t, k.world, seen, seen)

	// A stay on a ward is the ward's.
	k.c.want(http.StatusCreated, "POST", "/Encounter", fmt.Sprintf(`{"resourceType":"Encounter","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/%s"},"period":{"start":%q},"location":[{"location":{"reference":%q},"status":"active"}]}`,
		k.id, now.Format(time.RFC3339), room), nil)
	stays := thingOf(k.patient.id, ward, relation.Admission)
	h.awaits(t, k.world, seen, seen, stays)

	// Cancelled, the first appointment is taken back; the second stands on.
	k.c.want(http.StatusOK, "PUT", "/Appointment/"+visit, `{"id":"`+visit+`",`+appointment(reference(colleague), "cancelled", tomorrow)[1:], nil)
	k.c.want(http.StatusCreated, "POST", "/Appointment", appointment(`{"display":"somebody"}`, "booked", tomorrow), nil) // and no team has a grant
	h.awaits(t, k.world, seen, stays)
	if got := k.untold(); got < 2 {
		t.Errorf("got %v resources untold, want the doctor's own and the one of nobody", got)
	}

	// Whose place the doctor takes for a shift is the doctor, and so is the ward.
	sealed, err := actor.SealTeamSeed(k.doctor.box.Public(), ward, key.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.net.Append(t.Context(), client.PasskeyHand(other.id, other.passkey), &actor.Duty{To: k.doctor.id, Team: ward,
		From: now.Unix() - 60, Until: now.Unix() + 3600, Sealed: sealed}); err != nil {
		t.Fatalf("duty: %v", err)
	}
	k.gateway.network.Refresh(other.id, k.gateway.org)
	before := k.untold()
	k.c.want(http.StatusCreated, "POST", "/Appointment", appointment(reference(colleague), "booked", tomorrow), nil)
	k.c.want(http.StatusCreated, "POST", "/Appointment", appointment(reference(room), "booked", tomorrow), nil)
	h.awaits(t, k.world, seen, stays)
	if got := k.untold(); got != before+2 {
		t.Errorf("got %v more untold, want the two of whose place the doctor takes", got-before)
	}
}

// TestAVisitWithoutPeople is the visit of the teams to which the patient gave
// access, unless one of them wrote it.
func TestAVisitWithoutPeople(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	h := k.listens()
	other, directory := k.world.clinician()
	ward := k.team(other)
	g, _ := k.patient.grant(ward, grant.Read, allCategories()...)
	if _, err := k.net.Append(t.Context(), client.KeyHand(k.patient.id, k.patient.signing), &actor.Granted{Grant: g.Marshal()}); err != nil {
		t.Fatalf("grant to the team: %v", err)
	}
	text := fmt.Sprintf(`{"resourceType":"Encounter","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/%s"}}`, k.id)
	k.gateway.network.Refresh(k.gateway.org, k.patient.id) // the team and the grant are new
	mine := k.signIn(other, directory, k.share(k.patient, other, grant.Read, allCategories()...))
	mine.want(http.StatusCreated, "POST", "/Encounter", text, nil)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/EpisodeOfCare", fmt.Sprintf(`{"resourceType":"EpisodeOfCare","status":"active","patient":{"reference":"Patient/%s"}}`, k.id), nil)
	stays := thingOf(k.patient.id, ward, relation.Admission)
	h.awaits(t, k.world, stays)
	mine.want(http.StatusOK, "PUT", "/EpisodeOfCare/"+idOf(resp), fmt.Sprintf(`{"resourceType":"EpisodeOfCare","id":%q,"status":"onhold","patient":{"reference":"Patient/%s"}}`, idOf(resp), k.id), nil)
	h.awaits(t, k.world, stays) // one of the team brought it up to date
	if got := k.untold(); got != 1 {
		t.Errorf("got %v untold, want the visit that one of the team wrote", got)
	}
}
