package ages

import (
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStages(t *testing.T) {
	law, ok := In("NL", at(t, "2026-11-22T00:00:00Z"))
	if !ok {
		t.Fatal("no law of the Netherlands")
	}
	born := at(t, "2014-11-22T06:00:00Z")
	for _, c := range []struct {
		at   string
		want Stage
		next string
	}{
		{"2014-11-22T05:59:59Z", 0, ""},
		{"2014-11-22T06:00:00Z", Guardians, "2026-11-22T06:00:00Z"},
		{"2026-11-22T05:59:59Z", Guardians, "2026-11-22T06:00:00Z"},
		{"2026-11-22T06:00:00Z", Together, "2030-11-22T06:00:00Z"},
		{"2030-11-22T05:59:59Z", Together, "2030-11-22T06:00:00Z"},
		{"2030-11-22T06:00:00Z", Alone, ""},
	} {
		now := at(t, c.at)
		if got := law.Stage(born, now); got != c.want {
			t.Errorf("%s: got %v, want %v", c.at, got, c.want)
		}
		next := law.Next(born, now)
		if c.next == "" != next.IsZero() || c.next != "" && !next.Equal(at(t, c.next)) {
			t.Errorf("%s: next %v, want %s", c.at, next, c.next)
		}
	}
	leap := at(t, "2016-02-29T00:00:00Z")
	if got, want := law.Next(leap, at(t, "2028-03-01T00:00:00Z")), at(t, "2032-02-29T00:00:00Z"); !got.Equal(want) {
		t.Errorf("born on 29 February: got %v, want %v", got, want)
	}
	if got := law.Stage(at(t, "2018-02-28T23:00:00Z"), at(t, "2030-02-28T23:00:00Z")); got != Together {
		t.Errorf("on the birthday: got %v, want %v", got, Together)
	}
}

func TestWhatGuardiansMaySee(t *testing.T) {
	law, _ := In("NL", at(t, "2026-11-22T00:00:00Z"))
	for s, want := range map[Stage][]fhir.Category{
		0:         nil,
		Guardians: {fhir.Emergency, fhir.General, fhir.Imaging, fhir.Reproductive, fhir.Genetic, fhir.Psychiatric, fhir.Addiction, fhir.HIVSTI},
		Together:  {fhir.Emergency, fhir.General, fhir.Imaging},
		Alone:     nil,
	} {
		if got := law.Guardians(s); !slices.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", s, got, want)
		}
	}
	if got := (Law{}).Stage(time.Unix(0, 0), time.Unix(1, 0)); got != 0 {
		t.Errorf("the zero law decides: %v", got)
	}
}

func TestEffectiveDates(t *testing.T) {
	if _, ok := In("NL", at(t, "1995-03-31T23:59:59Z")); ok {
		t.Error("a law before it took effect")
	}
	if _, ok := In("XX", at(t, "2026-01-01T00:00:00Z")); ok {
		t.Error("a law of a country that is not there")
	}
	text := "AA\t2000-01-01\t12\t16\tgenetic\ta\nAA\t2020-01-01\t14\t18\tgenetic\tb\n"
	all, err := read(text)
	if err != nil || len(all) != 2 || all[1].Agrees != 14 {
		t.Fatalf("got %v, %v", all, err)
	}
	if !slices.Equal(Countries(), []string{"NL"}) {
		t.Errorf("countries: got %v", Countries())
	}
}

// TestTableRefuses: one defect a row.
func TestTableRefuses(t *testing.T) {
	for _, row := range []string{
		"", "NL", "NLD\t2000-01-01\t12\t16\tgenetic\tx", "NL\tyesterday\t12\t16\tgenetic\tx", "NL\t2000-01-01\ttwelve\t16\tgenetic\tx",
		"NL\t2000-01-01\t12\tx\tgenetic\tx", "NL\t2000-01-01\t16\t12\tgenetic\tx", "NL\t2000-01-01\t0\t12\tgenetic\tx",
		"NL\t2000-01-01\t12\t22\tgenetic\tx", "NL\t2000-01-01\t12\t16\tsecrets\tx", "NL\t2000-01-01\t12\t16\tgenetic\t",
		"NL\t2000-01-01\t12\t16\tgenetic\tx\ty",
	} {
		if _, err := read(row + "\n"); err == nil {
			t.Errorf("%q is read", row)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(table)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := read(text)
		for _, l := range all {
			if err == nil && l.Stage(l.From, l.From) != Guardians {
				t.Error("a law under which newborns decide")
			}
		}
	})
}
