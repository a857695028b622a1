package main

import (
	"testing"

	"github.com/abaton-health/abaton/internal/blast"
)

// TestThefts steals one thing after the other from a running network of five
// real keepers and a gateway, tries to open every record with it, and holds
// what opened against what abaton blast computed beforehand.
func TestThefts(t *testing.T) {
	v := newVictims(t)
	v.equal("ben", blast.Session, v.ransack(v.session(v.ben), nil))
	v.equal("ben", blast.Person, v.ransack(v.session(v.ben), v.ben.Passkey))
	v.equal("cora", blast.Person, v.ransack(v.session(v.cora), v.cora.Passkey))
	v.equal("scribe", blast.Person, v.ransack(v.session(v.agent), v.agent.Passkey))
	v.equal("dee", blast.Person, v.ransack(v.session(v.patients[3]), v.patients[3].Passkey))
}

// equal holds a haul against what was computed.
func (v *victims) equal(arg string, kind blast.Kind, got *haul) {
	v.t.Helper()
	var list blastList
	v.into(&list, "blast", arg, "--records", "--json")
	for _, one := range list.Things {
		if one.Thing != kind {
			continue
		}
		v.t.Logf("%s", one.Says)
		if one.Patients != len(got.patients) || one.Records != len(got.records) {
			v.t.Errorf("%s of %s: %d patients and %d records opened, %d and %d were computed",
				kind, arg, len(got.patients), len(got.records), one.Patients, one.Records)
		}
		return
	}
	v.t.Errorf("%s: no theft of kind %s was computed", arg, kind)
}
