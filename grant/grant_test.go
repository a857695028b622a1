package grant_test

import (
	"errors"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

var (
	ana   = abaton.ActorID{1}
	ben   = abaton.ActorID{2}
	eve   = abaton.ActorID{3}
	lineA = abaton.Line{1}
	lineB = abaton.Line{2}
	lineC = abaton.Line{3}
	start = time.Unix(1_800_000_000, 0)
)

func sample() *grant.Grant {
	return &grant.Grant{
		V: wire.Version, Patient: ana, Grantee: ben, Actions: grant.Read,
		Lines: []abaton.Line{lineA, lineB}, Purposes: []abaton.Purpose{abaton.Operations, abaton.Treatment},
		NotBefore: start.Unix(), Expires: start.Add(time.Hour).Unix(), Quota: 10, Nonce: [16]byte{9},
	}
}

func reason(err error) abaton.Reason {
	var refused *abaton.RefusedError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return ""
}

// defects change a valid grant into one that must be refused.
var defects = []struct {
	name string
	want abaton.Reason
	make func(*grant.Grant)
}{
	{"version 0", abaton.ReasonMalformed, func(g *grant.Grant) { g.V = 0 }},
	{"version 2", abaton.ReasonMalformed, func(g *grant.Grant) { g.V = 2 }},
	{"no grantee", abaton.ReasonMalformed, func(g *grant.Grant) { g.Grantee = abaton.ActorID{} }},
	{"granted to the patient", abaton.ReasonMalformed, func(g *grant.Grant) { g.Grantee = g.Patient }},
	{"no action", abaton.ReasonMalformed, func(g *grant.Grant) { g.Actions = 0 }},
	{"unknown action bit", abaton.ReasonMalformed, func(g *grant.Grant) { g.Actions |= 4 }},
	{"no lines", abaton.ReasonMalformed, func(g *grant.Grant) { g.Lines = nil }},
	{"zero line", abaton.ReasonMalformed, func(g *grant.Grant) { g.Lines = []abaton.Line{{}} }},
	{"lines unsorted", abaton.ReasonMalformed, func(g *grant.Grant) { g.Lines = []abaton.Line{lineB, lineA} }},
	{"line twice", abaton.ReasonMalformed, func(g *grant.Grant) { g.Lines = []abaton.Line{lineA, lineA} }},
	{"too many lines", abaton.ReasonTooLarge, func(g *grant.Grant) { g.Lines = manyLines(abaton.GrantLinesMax + 1) }},
	{"no purposes", abaton.ReasonMalformed, func(g *grant.Grant) { g.Purposes = nil }},
	{"for a complaint", abaton.ReasonMalformed, func(g *grant.Grant) { g.Purposes = []abaton.Purpose{abaton.Legal} }},
	{"unknown purpose", abaton.ReasonMalformed, func(g *grant.Grant) { g.Purposes = []abaton.Purpose{"CURIOUS"} }},
	{"purposes unsorted", abaton.ReasonMalformed, func(g *grant.Grant) {
		g.Purposes = []abaton.Purpose{abaton.Treatment, abaton.Operations}
	}},
	{"purpose twice", abaton.ReasonMalformed, func(g *grant.Grant) {
		g.Purposes = []abaton.Purpose{abaton.Treatment, abaton.Treatment}
	}},
	{"too many purposes", abaton.ReasonTooLarge, func(g *grant.Grant) {
		g.Purposes = make([]abaton.Purpose, abaton.PurposesMax+1)
	}},
	{"before time began", abaton.ReasonMalformed, func(g *grant.Grant) { g.NotBefore = -1 }},
	{"ends as it begins", abaton.ReasonMalformed, func(g *grant.Grant) { g.Expires = g.NotBefore }},
	{"longer than a year and a day", abaton.ReasonMalformed, func(g *grant.Grant) {
		g.Expires = g.NotBefore + int64(abaton.GrantLifeMax/time.Second) + 1
	}},
	{"onward to the patient", abaton.ReasonMalformed, func(g *grant.Grant) { g.Onward = g.Patient }},
	{"onward to deposit", abaton.ReasonMalformed, func(g *grant.Grant) { g.Onward, g.Actions = eve, grant.Deposit }},
	{"no quota", abaton.ReasonMalformed, func(g *grant.Grant) { g.Quota = 0 }},
}

func manyLines(n int) []abaton.Line {
	lines := make([]abaton.Line, n)
	for i := range lines {
		lines[i] = abaton.Line{byte(i + 1)}
	}
	return lines
}

func TestParseRefusesWhatItDoesNotUnderstand(t *testing.T) {
	if _, err := grant.Parse(sample().Marshal()); err != nil {
		t.Fatalf("valid grant: got %v, want none", err)
	}
	for _, d := range defects {
		g := sample()
		d.make(g)
		if _, err := grant.Parse(g.Marshal()); reason(err) != d.want {
			t.Errorf("%s: got %v, want %s", d.name, err, d.want)
		}
		a := grant.Access{Actor: ben, Patient: ana, Action: grant.Read, Purpose: abaton.Treatment, Line: lineA, Records: 1}
		if grant.Decide(grant.Facts{Grant: g, Level: 1}, a, start).Permit {
			t.Errorf("%s: Decide permits under a grant that Parse refuses", d.name)
		}
	}
}

func TestSort(t *testing.T) {
	g := sample()
	g.Lines = []abaton.Line{lineB, lineA, lineB}
	g.Purposes = []abaton.Purpose{abaton.Treatment, abaton.Operations, abaton.Treatment}
	g.Sort()
	if g.ID() != sample().ID() {
		t.Errorf("sorted grant has another name than the same grant written in order")
	}
}

func TestWrapOpensOnlyBesideItsGrant(t *testing.T) {
	box, other := key.NewBox(), key.NewBox()
	bytes := sample().Marshal()
	seeds := []grant.Seed{
		{Line: lineA, Category: abaton.Category{7}, Level: 1, Epoch: 1, Seed: key.Secret{5}},
		{Line: lineB, Category: abaton.Category{8}, Level: 3, Epoch: 2},
	}
	wrap, err := grant.WrapSeeds(box.Public(), bytes, seeds)
	if err != nil {
		t.Fatal(err)
	}
	got, err := grant.Unwrap(box, bytes, wrap)
	if err != nil || len(got) != 2 || got[0] != seeds[0] || got[1] != seeds[1] {
		t.Fatalf("unwrap: the seeds differ, or error %v", err)
	}
	changed := sample()
	changed.Quota++
	for name, open := range map[string]func() ([]grant.Seed, error){
		"another key":   func() ([]grant.Seed, error) { return grant.Unwrap(other, bytes, wrap) },
		"another grant": func() ([]grant.Seed, error) { return grant.Unwrap(box, changed.Marshal(), wrap) },
		"cut short":     func() ([]grant.Seed, error) { return grant.Unwrap(box, bytes, wrap[:len(wrap)-1]) },
		"empty":         func() ([]grant.Seed, error) { return grant.Unwrap(box, bytes, nil) },
	} {
		if _, err := open(); !errors.Is(err, key.ErrBox) {
			t.Errorf("%s: got %v, want %v", name, err, key.ErrBox)
		}
	}
	if _, err := grant.WrapSeeds(key.BoxPublic{}, bytes, seeds); !errors.Is(err, key.ErrKey) {
		t.Errorf("zero box: got %v, want %v", err, key.ErrKey)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample().Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := grant.Parse(data)
		if err == nil && string(g.Marshal()) != string(data) {
			t.Errorf("parsed and written again, the grant differs")
		}
	})
}

func FuzzParseSeeds(f *testing.F) {
	f.Add(grant.MarshalSeeds([]grant.Seed{{Line: lineA, Level: 1, Epoch: 1, Seed: key.Secret{1}}, {Line: lineB, Level: 3, Epoch: 9}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		seeds, err := grant.ParseSeeds(data)
		if err == nil && string(grant.MarshalSeeds(seeds)) != string(data) {
			t.Errorf("parsed and written again, the seeds differ")
		}
	})
}
