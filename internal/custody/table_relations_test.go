package custody_test

import (
	"context"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// relates hands a statement to a keeper; the reason is that of the whole, or of
// its first entry.
func (w *circle) relates(x abaton.KeeperIndex, message []byte) abaton.Reason {
	answer, err := w.Keepers[x].Call(context.Background(), keeper.RouteRelations, message)
	if err != nil {
		return whyNot(err)
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil || len(r.Results) == 0 {
		return abaton.ReasonMalformed
	}
	return r.Results[0].Reason
}

func (w *circle) related(by abaton.KeyID, after time.Duration, e relation.Entry) relation.Relations {
	at := time.Now().Add(after).Unix()
	return relation.Relations{V: wire.Version, Organisation: w.org.ID, Key: by, Time: at, Entries: []relation.Entry{e}}
}

// relationRow is the row of what an organisation tells of who treats whom, by
// one of its kinds.
func (w *circle) relationRow(name string, own, removedKey *key.Signing, e relation.Entry) row {
	say := func(by *key.Signing, after time.Duration, change func(*relation.Relations)) *said {
		r := w.related(by.ID(), after, e)
		if change != nil {
			change(&r)
		}
		return &said{body: wire.Marshal(r), seal: signedBy(wire.Relations, by, w.ana.Manage), max: relation.SignedBytesMax, send: w.relates}
	}
	by := func(k *key.Signing) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(say(k, 0, nil)) }
	}
	with := func(change func(*relation.Relations)) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(say(own, 0, change)) }
	}
	form := refuses(abaton.ReasonMalformed)
	return row{
		name: name, is: []string{"label " + string(wire.Relations)}, zero: relation.Relations{},
		say: func(_ *testing.T, after time.Duration) *said { return say(own, after, nil) },
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), foreign: refuses(abaton.ReasonCredential).by(by(w.ana.Manage)), removed: refuses(abaton.ReasonCredential).by(by(removedKey)),
			unknown:   refuses(abaton.ReasonActor).by(with(func(r *relation.Relations) { r.Organisation = abaton.ActorID{9} })),
			replayed:  {same: true},
			reordered: cannot("of two about one thing the newer holds, however they come: TestRelationsNewestHolds"),
			forked:    cannot("of two of one second the one that ends first holds: TestRelationsNewestHolds"),
			expired:   refuses(abaton.ReasonTime), early: refuses(abaton.ReasonTime),
			truncated: form, oversized: refuses(abaton.ReasonTooLarge), loose: form, unforeseen: form, zeroValue: form,
		},
	}
}

// honeyRow is the row of a made-up patient's own word.
func (w *circle) honeyRow() row {
	at := time.Now().Unix()
	say := func(by *key.Signing, patient abaton.ActorID) *said {
		word := relation.HoneyWord{V: wire.Version, Patient: patient, Organisation: w.org.ID, Key: by.ID(), Until: at + 3600}
		sign := signedBy(wire.Honey, by, w.ana.Manage)
		return &said{body: wire.Marshal(word), max: relation.SignedBytesMax, send: w.relates, seal: func(body []byte, by hand) []byte {
			e := relation.Entry{Patient: patient, Kind: relation.Honey, From: at, Until: at + 3600, Word: sign(body, by)}
			r := w.related(w.org.Manage.ID(), 0, e)
			return wire.Marshal(w.org.Manage.Seal(wire.Relations, wire.Marshal(r)))
		}}
	}
	by := func(k *key.Signing, patient abaton.ActorID) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(say(k, patient)) }
	}
	form := refuses(abaton.ReasonMalformed)
	return row{
		name: "word of a made-up patient", is: []string{"label " + string(wire.Honey)}, zero: relation.HoneyWord{},
		say: func(*testing.T, time.Duration) *said { return say(w.bea.Manage, w.bea.ID) },
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), foreign: refuses(abaton.ReasonCredential).by(by(w.doctor.Manage, w.bea.ID)),
			removed:   refuses(abaton.ReasonCredential).by(by(w.unlocker, w.ana.ID)),
			unknown:   refuses(abaton.ReasonNotFound).by(by(w.bea.Manage, abaton.ActorID{9})),
			replayed:  {same: true},
			reordered: cannot("it stands in the statement that needs it"),
			forked:    cannot("it says one thing, until when"),
			expired: form.by(func(*testing.T) []try { // beyond the time it gives
				s := say(w.bea.Manage, w.bea.ID)
				word := relation.HoneyWord{V: wire.Version, Patient: w.bea.ID, Organisation: w.org.ID, Key: w.bea.Manage.ID(), Until: at + 3599}
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return s.send(x, s.seal(wire.Marshal(word), 0)) }}
			}),
			early:     cannot("it has no beginning"),
			truncated: form, oversized: refuses(abaton.ReasonTooLarge), loose: form, unforeseen: form, zeroValue: form,
		},
	}
}

func relationRows(t *testing.T) (*custodytest.Network, []row) {
	w := newCircle(t)
	at := time.Now().Unix()
	expected := relation.Entry{Patient: w.ana.ID, Whom: w.doctor.ID, Kind: relation.Appointment, From: at, Until: at + 3600}
	raised := relation.Entry{Patient: w.ana.ID, Kind: relation.Raised, From: at, Until: at + 3600}
	// A gateway's key says nothing delicate, and who manages files no
	// appointments: what one key is for the other is not.
	return w.Network, []row{
		w.relationRow("relation, expected", w.org.Writer, w.retired, expected),
		w.relationRow("relation, delicate", w.org.Manage, w.org.Writer, raised),
		w.honeyRow(),
	}
}
