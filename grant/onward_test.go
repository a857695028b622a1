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

var (
	carl = abaton.ActorID{4} // whom ben hands on to
	ward = abaton.ActorID{5} // a team, to which it may go
)

// letter is a grant of ana's to ben that may go on to the ward.
func letter() *grant.Grant {
	g := sample()
	g.Onward = ward
	return g
}

// handed are terms within the letter's.
func handed() *grant.Grant {
	g := sample()
	g.Grantee, g.Lines, g.Purposes = carl, []abaton.Line{lineA}, []abaton.Purpose{abaton.Treatment}
	g.Expires, g.Quota = start.Add(30*time.Minute).Unix(), 5
	return g
}

// onwardCase is one change of a hand-on that is permitted, and what must come
// of it.
type onwardCase struct {
	name string
	make func(f *grant.Facts, o *grant.Onward, a *grant.Access)
	want abaton.Reason
}

var onwardCases = []onwardCase{
	{"handed on", func(*grant.Facts, *grant.Onward, *grant.Access) {}, ""},
	{"handed on by a team's member", func(f *grant.Facts, o *grant.Onward, _ *grant.Access) {
		f.Grant.Grantee, o.GivesFor = eve, eve
	}, ""},
	{"handed on to a team", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) {
		o.Terms.Grantee, o.AsksFor = ward, ward
	}, ""},
	{"nothing known", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { *o = grant.Onward{} }, abaton.ReasonGrant},
	{"no terms", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms = nil }, abaton.ReasonGrant},
	{"no letter", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Grant = nil }, abaton.ReasonGrant},
	{"as the owner", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Owner = true }, abaton.ReasonGrant},
	{"somebody is barred", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Barred = true }, abaton.ReasonBarred},
	{"the letter was stopped", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Revoked = true }, abaton.ReasonRevoked},
	{"the letter ran out", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) {
		f.Grant.NotBefore, f.Grant.Expires = start.Unix()-100, start.Unix()
	}, abaton.ReasonExpired},
	{"the letter is used up", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Used = 10 }, abaton.ReasonQuota},
	{"the letter is not the giver's", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Grant.Grantee = eve }, abaton.ReasonGrant},
	{"the letter's team is the asker's alone", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) {
		f.Grant.Grantee, f.ActsFor = eve, eve
	}, abaton.ReasonGrant},
	{"the letter stays", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Grant.Onward = abaton.ActorID{} }, abaton.ReasonGrant},
	{"taken back", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.TakenBack = true }, abaton.ReasonRevoked},
	{"outside", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Within = false }, abaton.ReasonGrant},
	{"to somebody else", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.Grantee = eve }, abaton.ReasonGrant},
	{"to a team that the asker is not in", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.Grantee = ward }, abaton.ReasonGrant},
	{"asked by the giver", func(_ *grant.Facts, o *grant.Onward, a *grant.Access) { a.Actor, o.Terms.Grantee = ben, ben }, abaton.ReasonGrant},
	{"to whom the letter is", func(f *grant.Facts, o *grant.Onward, _ *grant.Access) {
		f.Grant.Grantee, o.GivesFor, o.Terms.Grantee, o.AsksFor = ward, ward, ward, ward
	}, abaton.ReasonGrant},
	{"a line that was not handed on", func(_ *grant.Facts, _ *grant.Onward, a *grant.Access) { a.Line = lineB }, abaton.ReasonGrant},
	{"a line wider", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.Lines = []abaton.Line{lineA, lineC} }, abaton.ReasonGrant},
	{"a line wider, asked for", func(_ *grant.Facts, o *grant.Onward, a *grant.Access) {
		o.Terms.Lines, a.Line = []abaton.Line{lineA, lineC}, lineC
	}, abaton.ReasonGrant},
	{"a purpose that was not handed on", func(_ *grant.Facts, _ *grant.Onward, a *grant.Access) { a.Purpose = abaton.Operations }, abaton.ReasonPurpose},
	{"a purpose wider", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) {
		o.Terms.Purposes = []abaton.Purpose{abaton.Research, abaton.Treatment}
	}, abaton.ReasonGrant},
	{"longer than the letter", func(f *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.Expires = f.Grant.Expires + 1 }, abaton.ReasonGrant},
	{"over", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) {
		o.Terms.NotBefore, o.Terms.Expires = start.Unix()-100, start.Unix()
	}, abaton.ReasonExpired},
	{"not yet", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.NotBefore = start.Unix() + 1 }, abaton.ReasonExpired},
	{"more than the letter", func(f *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.Quota = f.Grant.Quota + 1 }, abaton.ReasonGrant},
	{"used up", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Used = 5 }, abaton.ReasonQuota},
	{"to write", func(f *grant.Facts, o *grant.Onward, a *grant.Access) {
		f.Grant.Actions, o.Terms.Actions, a.Action = grant.Read|grant.Deposit, grant.Read|grant.Deposit, grant.Deposit
	}, abaton.ReasonGrant},
	{"to go on further", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.Onward = ward }, abaton.ReasonGrant},
	{"shielded", func(f *grant.Facts, _ *grant.Onward, _ *grant.Access) { f.Level, f.Person = grant.Shielded, true }, abaton.ReasonGrant},
	{"for a case", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.When = grant.Death }, abaton.ReasonGrant},
	{"another patient's", func(_ *grant.Facts, o *grant.Onward, _ *grant.Access) { o.Terms.Patient = eve }, abaton.ReasonGrant},
	{"asked about another patient", func(_ *grant.Facts, _ *grant.Onward, a *grant.Access) { a.Patient = eve }, abaton.ReasonGrant},
}

func (c onwardCase) inputs() (grant.Facts, grant.Onward, grant.Access) {
	f := grant.Facts{Grant: letter(), Level: 1}
	o := grant.Onward{From: ben, Terms: handed(), Within: true}
	a := grant.Access{Actor: carl, Patient: ana, Action: grant.Read, Purpose: abaton.Treatment, Line: lineA, Records: 1}
	c.make(&f, &o, &a)
	return f, o, a
}

func TestDecideOnward(t *testing.T) {
	for _, c := range onwardCases {
		f, o, a := c.inputs()
		d := grant.DecideOnward(f, o, a, start)
		if d.Permit != (c.want == "") || d.Reason != c.want {
			t.Errorf("%s: got %+v, want %q", c.name, d, c.want)
		}
		if d.Permit == (d.Reason != "") {
			t.Errorf("%s: a reason belongs to a refusal and to nothing else", c.name)
		}
	}
}

func TestOnwardVectors(t *testing.T) {
	var made []vector
	for _, c := range onwardCases {
		f, o, a := c.inputs()
		v := decideVector(c.name, f, a, start)
		v.Source, v.Expect = "PROTOCOL.md#onward", "ok"
		if d := grant.DecideOnward(f, o, a, start); !d.Permit {
			v.Expect = string(d.Reason)
		}
		v.Input["from"], v.Input["takenBack"], v.Input["within"] = o.From.String(), strconv.FormatBool(o.TakenBack), strconv.FormatBool(o.Within)
		v.Input["givesFor"], v.Input["asksFor"], v.Input["usedOnward"] = o.GivesFor.String(), o.AsksFor.String(), strconv.FormatUint(o.Used, 10)
		v.Input["actsFor"] = f.ActsFor.String()
		if o.Terms != nil {
			v.Input["terms"] = hex.EncodeToString(o.Terms.Marshal())
		}
		made = append(made, v)
	}
	checkVectors(t, "onward", made)
}

func TestWrapOpensOnlyAsItsHandOn(t *testing.T) {
	box := key.NewBox()
	id := grant.OnwardID(ben, letter().ID(), handed().Marshal())
	seeds := []grant.Seed{{Line: lineA, Category: abaton.Category{7}, Level: 1, Epoch: 1, Seed: key.Secret{5}}}
	wrap, err := grant.WrapOnward(box.Public(), id, seeds)
	if err != nil {
		t.Fatal(err)
	}
	got, err := grant.UnwrapOnward(box, id, wrap)
	if err != nil || len(got) != 1 || got[0] != seeds[0] {
		t.Fatalf("unwrap: the seeds differ, or error %v", err)
	}
	for name, other := range map[string]abaton.GrantID{
		"another giver": grant.OnwardID(eve, letter().ID(), handed().Marshal()),
		"another grant": grant.OnwardID(ben, sample().ID(), handed().Marshal()),
		"other terms":   grant.OnwardID(ben, letter().ID(), letter().Marshal()),
	} {
		if _, err := grant.UnwrapOnward(box, other, wrap); err == nil {
			t.Errorf("%s: the wrap opens", name)
		}
	}
	if _, err := grant.UnwrapOnward(key.NewBox(), id, wrap); err == nil {
		t.Error("another box opens the wrap")
	}
	if _, err := grant.Unwrap(box, handed().Marshal(), wrap); err == nil {
		t.Error("the wrap opens as a grant's")
	}
}
