package actor_test

import (
	"encoding/hex"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// TestFamilyVectors: registrars and findings as they travel, and every defect
// that shows without a log.
func TestFamilyVectors(t *testing.T) {
	f := newFamily(t)
	var made []vector
	add := func(comment string, body actor.Body, by ...signer) {
		data := signed(f.event(body), by...).Marshal()
		v := vector{Comment: comment, Source: "PROTOCOL.md#finding", Input: map[string]string{
			"signed": hex.EncodeToString(data), "rpID": party.ID, "origin": party.Origins[0]}}
		se, err := actor.ParseSigned(data)
		if err == nil {
			var a *actor.Authentic
			if a, err = actor.Authenticate(se, party); err == nil {
				h := a.Hash()
				v.Output = map[string]string{"hash": hex.EncodeToString(h[:])}
			}
		}
		v.Expect = expectation(err)
		made = append(made, v)
	}
	add("an incapacity, by both", f.finding(grant.Incapacity, 1), both()...)
	add("a death, by both", f.finding(grant.Death, 2), both()...)
	for _, c := range findingDefects {
		b := f.finding(grant.Incapacity, 1)
		c.change(b)
		add(c.name, b, both()...)
	}
	town := f.town.st.Actor()
	add("a registrar that cuts", &actor.Registrar{Registrar: town, May: actor.SaysNarrow}, byKey("ana"))
	add("a registrar that says nothing any more", &actor.Registrar{Registrar: town}, byKey("ana"))
	add("a registrar that is nobody", &actor.Registrar{May: actor.SaysNarrow}, byKey("ana"))
	add("a registrar with an unknown right", &actor.Registrar{Registrar: town, May: 8}, byKey("ana"))
	add("a registrar that states a death alone", &actor.Registrar{Registrar: town, May: actor.SaysDeath}, byKey("ana"))
	add("a registrar that cuts with somebody", &actor.Registrar{Registrar: town, May: actor.SaysNarrow, With: []abaton.ActorID{{1}}}, byKey("ana"))
	add("a registrar that states with itself", &actor.Registrar{Registrar: town, May: actor.SaysDeath, With: []abaton.ActorID{town}}, byKey("ana"))
	add("a registrar that states with one twice", &actor.Registrar{Registrar: town, May: actor.SaysDeath, With: []abaton.ActorID{{1}, {1}}}, byKey("ana"))
	checkVectors(t, "family", made)
}
