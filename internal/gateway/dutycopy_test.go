package gateway

import (
	"errors"
	"net/http"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// TestDutyCopies: what anybody but the patient files goes to the duty chart as
// well, whole and under that chart's line; where the chart is unknown, takes
// nothing, or cannot be told, nothing is written at all.
func TestDutyCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	chart := k.world.patient()
	filed := func(home, by abaton.ActorID, kind seal.Kind) []*change {
		return []*change{{home: home, envelope: seal.Envelope{Kind: kind, Type: "Observation", ID: "a", Person: by}, content: []byte(`{}`)}}
	}
	of, failed := chart.id, error(nil)
	k.gateway.duty = func(abaton.ActorID) (abaton.ActorID, error) { return of, failed }
	line, err := k.gateway.lineFor(t.Context(), nil, chart.id, fhir.General)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		changes []*change
		want    int
	}{
		"a doctor's":        {filed(k.patient.id, k.doctor.id, seal.KindResource), 1},
		"nobody's":          {filed(k.patient.id, abaton.ActorID{}, seal.KindResource), 1},
		"the patient's":     {filed(k.patient.id, k.patient.id, seal.KindResource), 0},
		"of the directory":  {filed(k.gateway.org, k.doctor.id, seal.KindResource), 0},
		"of a large object": {filed(k.patient.id, k.doctor.id, seal.KindObject), 0},
	} {
		got, err := k.gateway.dutyCopies(t.Context(), nil, c.changes)
		if err != nil || len(got) != c.want {
			t.Errorf("%s: got %d copies, %v; want %d", name, len(got), err, c.want)
		}
		for _, w := range got {
			if w.Patient != chart.id || w.Line != line || w.Record.Envelope.Line != line || string(w.Record.Content) != `{}` {
				t.Errorf("%s: the copy is not one", name)
			}
		}
	}
	k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	of = abaton.ActorID{}
	k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	failed = errors.New("list")
	k.c.want(http.StatusServiceUnavailable, "POST", "/Observation", k.observation(`,"note":[{"text":"x"}]`), nil)
	closed := k.world.patient(fhir.General)
	of, failed = closed.id, nil
	k.c.want(http.StatusForbidden, "POST", "/Observation", k.observation(`,"note":[{"text":"x"}]`), nil)
}
