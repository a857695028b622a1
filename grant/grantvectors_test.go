package grant_test

import (
	"encoding/hex"
	"strconv"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

func expectation(err error) string {
	if err == nil {
		return "ok"
	}
	return string(reason(err))
}

func TestGrantVectors(t *testing.T) {
	made := []vector{grantVector(t, "a valid grant", sample().Marshal())}
	for _, d := range defects {
		g := sample()
		d.make(g)
		made = append(made, grantVector(t, d.name, g.Marshal()))
	}
	onward := sample()
	onward.Onward = eve
	made = append(made, grantVector(t, "a grant that may be handed on", onward.Marshal()))
	zero := append([]byte(nil), sample().Marshal()...)
	zero[0]++ // one more field, which says what its absence says
	made = append(made, grantVector(t, "a field that is zero", append(append(zero, 0x0b, 0x58, 0x20), make([]byte, 32)...)))
	made = append(made, grantVector(t, "trailing byte", append(sample().Marshal(), 0)))
	made = append(made, grantVector(t, "cut short", sample().Marshal()[:100]))
	checkVectors(t, "grant", made)
}

func grantVector(t *testing.T, comment string, data []byte) vector {
	t.Helper()
	v := vector{Comment: comment, Source: "PROTOCOL.md#grant", Input: map[string]string{"grant": hex.EncodeToString(data)}}
	_, err := grant.Parse(data)
	v.Expect = expectation(err)
	if err == nil {
		v.Output = map[string]string{"id": grant.IDOf(data).String()}
	}
	return v
}

func TestDecideVectors(t *testing.T) {
	ask := grant.Access{Actor: ben, Patient: ana, Action: grant.Read, Purpose: abaton.Treatment, Line: lineA, Records: 1}
	own := grant.Access{Actor: ana, Patient: ana, Action: grant.Read, Purpose: abaton.PatientAccess, Line: lineA, Records: 1}
	made := []vector{
		decideVector("granted", grant.Facts{Grant: sample(), Level: 1}, ask, start),
		decideVector("own record", grant.Facts{Owner: true}, own, start),
		decideVector("nothing known", grant.Facts{}, ask, start),
		decideVector("revoked", grant.Facts{Grant: sample(), Level: 1, Revoked: true}, ask, start),
		decideVector("barred", grant.Facts{Grant: sample(), Level: 1, Barred: true}, ask, start),
		decideVector("not yet", grant.Facts{Grant: sample(), Level: 1}, ask, start.Add(-time.Second)),
		decideVector("no longer", grant.Facts{Grant: sample(), Level: 1}, ask, start.Add(time.Hour)),
		decideVector("quota used up", grant.Facts{Grant: sample(), Level: 1, Used: 10}, ask, start),
		decideVector("line not granted", grant.Facts{Grant: sample(), Level: 1}, with(ask, func(a *grant.Access) { a.Line = lineC }), start),
		decideVector("action not granted", grant.Facts{Grant: sample(), Level: 1}, with(ask, func(a *grant.Access) { a.Action = grant.Deposit }), start),
		decideVector("two actions at once", grant.Facts{Grant: sample(), Level: 1}, with(ask, func(a *grant.Access) { a.Action = 3 }), start),
		decideVector("purpose not granted", grant.Facts{Grant: sample(), Level: 1}, with(ask, func(a *grant.Access) { a.Purpose = abaton.Research }), start),
		decideVector("somebody else", grant.Facts{Grant: sample(), Level: 1}, with(ask, func(a *grant.Access) { a.Actor = eve }), start),
		decideVector("owner with a grant", grant.Facts{Owner: true, Grant: sample()}, own, start),
		decideVector("owner for another purpose", grant.Facts{Owner: true}, with(own, func(a *grant.Access) { a.Purpose = abaton.Treatment }), start),
		decideVector("a line nobody knows", grant.Facts{Grant: sample()}, ask, start),
		decideVector("shielded, one line, a person", grant.Facts{Grant: single(), Level: 3, Person: true}, ask, start),
		decideVector("shielded, among other lines", grant.Facts{Grant: sample(), Level: 3, Person: true}, ask, start),
		decideVector("shielded, a program", grant.Facts{Grant: single(), Level: 3}, ask, start),
	}
	checkVectors(t, "decide", made)
}

func decideVector(comment string, f grant.Facts, a grant.Access, now time.Time) vector {
	v := vector{Comment: comment, Source: "PROTOCOL.md#decide", Now: now.Unix(), Expect: "ok", Input: map[string]string{
		"owner": strconv.FormatBool(f.Owner), "revoked": strconv.FormatBool(f.Revoked), "barred": strconv.FormatBool(f.Barred),
		"used": strconv.FormatUint(f.Used, 10), "actor": a.Actor.String(), "patient": a.Patient.String(),
		"action": strconv.Itoa(int(a.Action)), "purpose": string(a.Purpose), "line": hex.EncodeToString(a.Line[:]),
		"records": strconv.FormatUint(a.Records, 10), "level": strconv.Itoa(int(f.Level)), "person": strconv.FormatBool(f.Person),
	}}
	if f.Grant != nil {
		v.Input["grant"] = hex.EncodeToString(f.Grant.Marshal())
	}
	if d := grant.Decide(f, a, now); !d.Permit {
		v.Expect = string(d.Reason)
	}
	return v
}

func TestSeedVectors(t *testing.T) {
	good := grant.Seed{Line: lineA, Category: abaton.Category{7}, Level: 1, Epoch: 1, Seed: key.Secret{5}}
	deposit := grant.Seed{Line: lineB, Level: 3, Epoch: 2}
	var made []vector
	for _, c := range []struct {
		comment string
		payload []byte
	}{
		{"one seed to open, one line to deposit in", grant.MarshalSeeds([]grant.Seed{good, deposit})},
		{"no line", grant.MarshalSeeds([]grant.Seed{{Level: 1, Epoch: 1}})},
		{"level 0", grant.MarshalSeeds([]grant.Seed{{Line: lineA, Epoch: 1}})},
		{"level 4", grant.MarshalSeeds([]grant.Seed{{Line: lineA, Level: 4, Epoch: 1}})},
		{"epoch 0", grant.MarshalSeeds([]grant.Seed{{Line: lineA, Level: 1}})},
		{"cut short", grant.MarshalSeeds([]grant.Seed{good})[:40]},
		{"trailing byte", append(grant.MarshalSeeds([]grant.Seed{good}), 0)},
	} {
		_, err := grant.ParseSeeds(c.payload)
		made = append(made, vector{Comment: c.comment, Source: "PROTOCOL.md#seeds", Expect: expectation(err),
			Input: map[string]string{"payload": hex.EncodeToString(c.payload)}})
	}
	checkVectors(t, "seeds", made)
}

// TestWrapVectors opens committed wraps. Sealing is random, so a wrap is made
// once and kept: -update writes it only where there is none.
func TestWrapVectors(t *testing.T) {
	box, wrapped := key.BoxFromSeed(key.Secret{1}), sample().Marshal()
	changed := sample()
	changed.Quota++
	seeds := []grant.Seed{{Line: lineA, Category: abaton.Category{7}, Level: 1, Epoch: 1, Seed: key.Secret{5}}}
	sealed, ok := keptInput(t, "wrap", "wrap")
	if !ok {
		var err error
		if sealed, err = grant.WrapSeeds(box.Public(), wrapped, seeds); err != nil {
			t.Fatal(err)
		}
	}
	altered := append([]byte(nil), sealed...)
	altered[len(altered)-1] ^= 1
	var made []vector
	for _, c := range []struct {
		comment     string
		seed        key.Secret
		grant, wrap []byte
	}{
		{"the grantee opens", key.Secret{1}, wrapped, sealed},
		{"another key", key.Secret{2}, wrapped, sealed},
		{"another grant", key.Secret{1}, changed.Marshal(), sealed},
		{"altered", key.Secret{1}, wrapped, altered},
		{"cut short", key.Secret{1}, wrapped, sealed[:100]},
	} {
		v := vector{Comment: c.comment, Source: "PROTOCOL.md#seeds", Expect: "ok", Input: map[string]string{
			"seed": hex.EncodeToString(c.seed[:]), "grant": hex.EncodeToString(c.grant), "wrap": hex.EncodeToString(c.wrap)}}
		got, err := grant.Unwrap(key.BoxFromSeed(c.seed), c.grant, c.wrap)
		if err != nil {
			v.Expect = "box"
		} else {
			v.Output = map[string]string{"payload": hex.EncodeToString(grant.MarshalSeeds(got))}
		}
		made = append(made, v)
	}
	checkVectors(t, "wrap", made)
}
