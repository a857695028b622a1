package main

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/blast"
)

// theft is what a thief stole and what it came to.
type theftTried struct {
	who   string
	kind  blast.Kind
	words string // for the table in docs/THREATS.md
	now   *haul
	way   blast.Way // how more opened, if it did
	later *haul
}

// TestThefts steals one thing after the other from a running network of five
// real keepers and a gateway, tries to open every record with it, and holds
// what opened against what abaton blast computed before anything was stolen.
func TestThefts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole network; run without -short")
	}
	v := newVictims(t)
	v.into(&v.computed, "blast", "ben", "cora", "eve", "fay", "scribe", "bo", "dee", "ana", "clinic", "registry", "authority-1", "keeper1", "gateway", "kit", "helper", "--records", "--json")
	v.world = v.surveyed()
	var tried []theftTried
	for _, steal := range []func() theftTried{
		v.stealsSession, v.stealsDevice, v.stealsPasskey, v.stealsClinician, v.stealsNurse, v.stealsColleague, v.stealsColleaguesSession, v.stealsEmergencyDoctor, v.stealsAgent,
		v.stealsPatientPasskey, v.stealsPhone, v.stealsParent, v.stealsHelper, v.stealsAuthority, v.stealsManageKey, v.stealsAlarmKey, v.stealsAttestKey,
		v.stealsTeamKey, v.stealsRegister, v.stealsGatewayDisk, v.stealsGatewayMemory, v.stealsKeeper, v.stealsKit, v.stealsOrganisation,
	} {
		began := time.Now()
		one := steal()
		v.equal(one, time.Since(began))
		tried = append(tried, one)
		if one.kind == blast.GatewayMemory {
			v.statesIncapacity() // and cas takes it back
		}
	}
	v.addsRecords()
	v.secondThings(tried)
	v.documented(tried)
}

// find is what was computed of a theft.
func (v *victims) find(who string, kind blast.Kind) *blastThing {
	v.t.Helper()
	for i := range v.computed.Things {
		if one := &v.computed.Things[i]; one.Who == who && one.Thing == kind {
			return one
		}
	}
	v.t.Fatalf("%s of %s: was not computed", kind, who)
	return nil
}

// equal holds a haul against what was computed.
func (v *victims) equal(got theftTried, took time.Duration) {
	v.t.Helper()
	want := v.find(got.who, got.kind)
	v.t.Logf("%v: %s", took.Round(time.Millisecond), want.Says)
	if want.Patients != len(got.now.patients) || want.Records != len(got.now.records) {
		v.t.Errorf("%s of %s: %d patients and %d records opened, %d and %d were computed",
			got.kind, got.who, len(got.now.patients), len(got.now.records), want.Patients, want.Records)
	}
	patients, records, uncounted := 0, 0, 0
	for _, m := range want.Besides {
		if got.later == nil || m.Way != got.way {
			v.t.Errorf("%s of %s: %s of %d patients was computed and not tried", got.kind, got.who, m.Way, m.Patients)
		}
		patients, records, uncounted = m.Patients, m.Records, m.Uncounted
		if m.House {
			uncounted-- // its directory
		}
	}
	if got.later == nil {
		return
	}
	counted, others := v.counted(got.later)
	if patients != len(got.later.patients) || records != counted || uncounted != others {
		v.t.Errorf("%s of %s, %s: %d patients and %d records opened, and of %d nobody counted; %d, %d and %d were computed",
			got.kind, got.who, got.way, len(got.later.patients), counted, others, patients, records, uncounted)
	}
}

// counted are the records of a haul whose owners' devices count them, and how many
// owners have no device: a care team keeps theirs.
func (v *victims) counted(h *haul) (records, others int) {
	for _, patient := range h.records {
		if patient != v.kept.ID {
			records++
		}
	}
	if h.patients[v.kept.ID] {
		others++
	}
	return records, others
}

// secondThings: a passkey and the device that its owner's keys lie on are
// together what was tried as everything of that person, and nothing else of
// what was computed as a second thing is left out.
func (v *victims) secondThings(tried []theftTried) {
	v.t.Helper()
	whole := make(map[string]*haul)
	for _, one := range tried {
		if one.kind == blast.Person {
			whole[one.who] = one.now
		}
	}
	for _, c := range []struct {
		who    string
		alone  blast.Kind
		second blast.Kind
		person string
	}{
		{"ben", blast.Passkey, blast.Device, "ben"},
		{"ben", blast.Session, blast.Passkey, "ben"},
		{"ben-device", blast.Device, blast.Passkey, "ben"},
		{"dee", blast.Passkey, blast.Device, "dee"},
	} {
		want := whole[c.person]
		found := false
		for _, o := range v.find(c.who, c.alone).OneMore {
			if o.Thing != c.second {
				continue
			}
			found = true
			if o.Patients != len(want.patients) || o.Records != len(want.records) {
				v.t.Errorf("%s of %s with one %s: %d patients and %d records were computed, %d and %d opened",
					c.alone, c.who, c.second, o.Patients, o.Records, len(want.patients), len(want.records))
			}
		}
		if !found {
			v.t.Errorf("%s of %s: no %s was computed as the second thing", c.alone, c.who, c.second)
		}
	}
}
