package blast_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
)

// keeps puts an escrow under these terms into a patient's log.
func (h *house) keeps(p *custodytest.Person, t escrow.Terms, half key.Secret) {
	h.t.Helper()
	line := p.Root.Line(custodytest.General)
	seed := grant.Seed{Line: line, Category: custodytest.General, Level: 1, Epoch: 1, Seed: p.Root.SegmentSeed(custodytest.General, 1)}
	body, err := escrow.Make(h.Set, p.ID, t, half, escrow.Payload{Seeds: []grant.Seed{seed}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Publish(h.t, p.Event(body))
}

func holderOf(p *custodytest.Person) escrow.Holder {
	return escrow.Holder{ID: p.ID, Box: p.Box.Public()}
}

// way is what a reach has besides in one way; the zero More if nothing.
func way(r *blast.Reach, w blast.Way) blast.More {
	for _, m := range r.More {
		if m.Way == w {
			return m
		}
	}
	return blast.More{}
}

// TestEmergencySets: they take an emergency role, a passkey and a device of the
// house, and no key of the doctor's own; or an organisation's word alone.
func TestEmergencySets(t *testing.T) {
	h := newHouse(t)
	eve := custodytest.NewClinician(t, h.Set, h.org)
	eve.Role = abaton.RoleEmergency
	h.Publish(t, eve.Inception)
	h.Enrol(t, eve)
	h.ids = append(h.ids, eve.ID, eve.Device.ID)
	p := h.patient(1)
	h.keeps(p, escrow.Emergency([]escrow.Holder{holderOf(h.org), holderOf(eve)}, 1, p.Root.Line(custodytest.General)), key.NewSecret())
	w := h.world()
	passkey, device := blast.Thing{Kind: blast.Passkey, Actor: eve.ID}, blast.Thing{Kind: blast.Device, Actor: h.ben.Device.ID}
	for _, c := range []struct {
		name   string
		stolen []blast.Thing
		way    blast.Way
		want   int
	}{
		{"everything of the doctor", []blast.Thing{{Kind: blast.Person, Actor: eve.ID, Device: eve.Device.ID}}, blast.ByEmergency, 1},
		{"passkey and any device of the house", []blast.Thing{passkey, device}, blast.ByEmergency, 1},
		{"a session", []blast.Thing{{Kind: blast.Session, Actor: eve.ID, Device: eve.Device.ID}}, blast.ByEmergency, 0},
		{"the passkey", []blast.Thing{passkey}, blast.ByEmergency, 0},
		{"the device", []blast.Thing{device}, blast.ByEmergency, 0},
		{"everything of somebody in another role", []blast.Thing{{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}}, blast.ByEmergency, 0},
		{"an authority's key", []blast.Thing{{Kind: blast.Authority, Actor: h.org.ID}}, blast.ByEmergency, 0},
		{"the managing key where one decides", []blast.Thing{{Kind: blast.ManageKey, Actor: h.org.ID}}, blast.ByMadeStaff, 1},
		{"the attesting key", []blast.Thing{{Kind: blast.AttestKey, Actor: h.org.ID}}, blast.ByMadeStaff, 0},
	} {
		r := w.Reach(c.stolen...)
		if m := way(r, c.way); m.Patients != c.want || m.Records != c.want*recordsEach || r.Patients != 0 {
			t.Errorf("%s: got %+v besides %d patients, want %d", c.name, m, r.Patients, c.want)
		}
	}
	h.served = map[abaton.ActorID]bool{h.registry.ID: true}
	for _, thing := range []blast.Thing{{Kind: blast.Person, Actor: eve.ID, Device: eve.Device.ID}, {Kind: blast.ManageKey, Actor: h.org.ID}} {
		if r := h.world().Reach(thing); len(r.More) != 0 {
			t.Errorf("%s of a house for which no authority lends: got %+v, want nothing", thing.Kind, r.More)
		}
	}
}

// TestWaysBack: a kit, or as many helpers as it takes, begin to come in; each
// helper needs a passkey for its word and a key for its part.
func TestWaysBack(t *testing.T) {
	h := newHouse(t)
	ana, bo, cas, dee := h.patient(1), h.patient(1), h.patient(1), h.patient(1)
	h.keeps(ana, escrow.Trustees([]escrow.Holder{holderOf(bo), holderOf(cas), holderOf(dee)}, 2, custodytest.Wait), key.NewSecret())
	code := escrow.NewCode()
	h.keeps(bo, escrow.Kit(bo.ID, code, custodytest.Wait), code.Half(bo.ID))
	w := h.world()
	trustee := func(p *custodytest.Person) blast.Thing { return blast.Thing{Kind: blast.Trustee, Actor: p.ID} }
	for _, c := range []struct {
		name   string
		stolen []blast.Thing
		want   int
	}{
		{"one helper", []blast.Thing{trustee(bo)}, 0},
		{"two helpers", []blast.Thing{trustee(bo), trustee(dee)}, 1},
		{"one helper and another's passkey", []blast.Thing{trustee(bo), {Kind: blast.Passkey, Actor: dee.ID}}, 0},
		{"a kit", []blast.Thing{{Kind: blast.Kit, Actor: bo.ID}}, 1},
		{"a kit that nobody made", []blast.Thing{{Kind: blast.Kit, Actor: dee.ID}}, 0},
	} {
		m := way(w.Reach(c.stolen...), blast.ByRecovery)
		if m.Patients != c.want || c.want > 0 && m.Wait != custodytest.Wait.Truncate(time.Second) {
			t.Errorf("%s: got %+v, want %d patients after %v", c.name, m, c.want, custodytest.Wait)
		}
	}
}

// TestLockedKeys: keys on a locked device open with their owner's passkey and no
// other, and a session without keys opens nothing.
func TestLockedKeys(t *testing.T) {
	h := newHouse(t)
	eve := custodytest.NewClinician(t, h.Set, h.org)
	h.Publish(t, eve.Inception)
	h.Enrol(t, eve)
	h.ids = append(h.ids, eve.ID, eve.Device.ID)
	p := h.patient(1)
	h.give(p, h.ben.ID, nil)
	h.give(p, eve.ID, nil)
	w := h.world()
	bens := blast.Thing{Kind: blast.Device, Actor: h.ben.Device.ID, Held: []abaton.ActorID{h.ben.ID}}
	bare := blast.Thing{Kind: blast.Device, Actor: h.ben.Device.ID}
	for _, c := range []struct {
		name   string
		stolen []blast.Thing
		want   int
	}{
		{"ben's passkey and ben's device", []blast.Thing{{Kind: blast.Passkey, Actor: h.ben.ID}, bens}, 1},
		{"ben's passkey and a device without his keys", []blast.Thing{{Kind: blast.Passkey, Actor: h.ben.ID}, bare}, 0},
		{"a passkey that is none of ben's and ben's device", []blast.Thing{{Kind: blast.Passkey, Actor: h.ben.ID, Credential: key.Credential{1}}, bens}, 0},
		{"eve's passkey and ben's device", []blast.Thing{{Kind: blast.Passkey, Actor: eve.ID}, bens}, 0},
		{"ben's device", []blast.Thing{bens}, 0},
	} {
		if r := w.Reach(c.stolen...); r.Patients != c.want {
			t.Errorf("%s: got %d patients, want %d", c.name, r.Patients, c.want)
		}
	}
	h.Publish(t, h.ben.Event(&actor.Stop{}))
	if r := h.world().Reach(blast.Thing{Kind: blast.Session, Actor: h.ben.ID, Device: h.ben.Device.ID}); r.Patients != 0 {
		t.Errorf("a session of somebody who stopped: got %d patients, want none", r.Patients)
	}
}
